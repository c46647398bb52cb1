import { TensorARError } from "@tensorar/core";
import type { Backbone } from "./backbone";
import { chainShapes } from "./chain";
import { EVIDENCE, evidenceShapes } from "./evidence";
import { inputEncoderInitial, inputEncoderShapes } from "./input-encoder";
import { expectBelow, MOST_LAYERS } from "./limits";
import { outputDecoderInitial, outputDecoderShapes } from "./output-decoder";
import type { Initial, ParameterShapes } from "./parameters";

/**
 * How the output decoder computes a different function for every entry j of the window.
 * - "maps": a `D × D` matrix of its own for each entry; grows with k, so meant for small windows.
 * - "gated": one gated feed-forward for all, told apart by a learned query of each entry; the size hardly depends on k.
 * - "chained": as "gated"; entry j is then also given the entries before it in the same tensor, so that they are drawn one after
 *   the other in the same step and fit each other. Ours.
 */
export type OutputStructure = (typeof STRUCTURES)[number];

/** Every structure. */
export const STRUCTURES = ["maps", "gated", "chained"] as const;

/**
 * What becomes of the views of a token, the drafts of it that the model was shown, when it is predicted.
 * - "implicit": the model learns what to make of them, as in the paper.
 * - "explicit": each view adds a learned number, one for its depth, to the logit of its code, and entry 0 is predicted from the
 *   base model's own state. What a model makes of a token's own drafts can so be taken back, by leaving the numbers out. Ours.
 */
export type Evidence = "implicit" | "explicit";

/** The window, and the form of the modules around the backbone. */
export interface TensorAROptions {
  /** k: tokens in one tensor, 1 … T. 1 is the base model. */
  readonly windowSize: number;
  /** Layers of each of the two query transformers; default 1. */
  readonly depth?: number;
  /** Default "maps". */
  readonly structure?: OutputStructure;
  /** Default "implicit". */
  readonly evidence?: Evidence | undefined;
  /** Whether there is a learned vector for entries that are BLANK; default no. */
  readonly blanks?: boolean | undefined;
}

/** Sizes that the modules are made from. */
export interface ModuleSizes {
  /** D */
  readonly width: number;
  /** Dh of the input encoder's heads; D is a multiple. */
  readonly headDim: number;
  /** k */
  readonly windowSize: number;
  readonly depth: number;
  readonly structure: OutputStructure;
  readonly evidence: Evidence;
  readonly blanks: boolean;
}

type BackboneSizes = Pick<Backbone, "width" | "tokens" | "factors"> & { readonly cache: { readonly headDim: number } };

/** @throws TensorARError when the options do not fit the backbone */
export function moduleSizes(backbone: BackboneSizes, options: TensorAROptions): ModuleSizes {
  const { windowSize, depth = 1, structure = "maps", evidence = "implicit", blanks = false } = options;
  const { width, tokens, cache, factors } = backbone;
  if (!Number.isInteger(windowSize) || windowSize < 1 || windowSize > tokens) {
    throw new TensorARError(`attachTensorAR: window ${windowSize} does not fit ${tokens} tokens; use 1 … ${tokens}`);
  }
  if (!Number.isInteger(depth) || depth < 1) {
    throw new TensorARError(`attachTensorAR: depth ${depth} is not a positive integer; use 1`);
  }
  expectBelow("attachTensorAR", { depth }, MOST_LAYERS);
  if (!STRUCTURES.includes(structure)) {
    throw new TensorARError(`attachTensorAR: structure "${structure}" is unknown; use "maps", "gated" or "chained"`);
  }
  if (structure === "chained" && factors !== undefined) {
    throw new TensorARError(
      'attachTensorAR: structure "chained" draws whole codes one after the other, which a model of sub-tokens does not have; use "gated"',
    );
  }
  if (evidence !== "implicit" && evidence !== "explicit") {
    throw new TensorARError(`attachTensorAR: evidence "${evidence}" is unknown; use "implicit" or "explicit"`);
  }
  if (evidence === "explicit" && factors !== undefined) {
    throw new TensorARError(
      "attachTensorAR: explicit evidence adds to the logits of whole codes, which a model of sub-tokens does not have; use implicit",
    );
  }
  const headDim = width % cache.headDim === 0 ? cache.headDim : width;
  return { width, headDim, windowSize, depth, structure, evidence, blanks };
}

/** Shapes of the modules' parameters, all named `tensorar.…`; none for window 1. */
export function moduleShapes(sizes: ModuleSizes): ParameterShapes {
  return sizes.windowSize === 1
    ? {}
    : { ...inputEncoderShapes(sizes), ...outputDecoderShapes(sizes), ...chainShapes(sizes), ...evidenceShapes(sizes) };
}

/** How each parameter of the modules starts. */
export function moduleInitial(sizes: ModuleSizes): (name: string) => Initial {
  return (name) => {
    if (name === EVIDENCE) return "ones";
    return inputEncoderInitial(sizes, name) ?? outputDecoderInitial(sizes, name);
  };
}
