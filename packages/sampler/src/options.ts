import { quote, requireOptions, TensorARError } from "@tensorar/core";
import { createCategorical } from "./categorical";
import type { Decoder } from "./decoder";
import { checkDrafts, type DraftPolicy } from "./drafts";
import type { Draws, FactorSampling } from "./draw";
import { checkGuidance, type Guidance, UNGUIDED } from "./guidance";
import { checkLeaveOneOut, type LeaveOneOut } from "./leave-one-out";
import type { ImageAddress } from "./random";
import { checkSampling, UNFILTERED } from "./sampling-options";

// N images · T tokens · k window · V codes

/** One for all sub-tokens of a code, or one for each. Codes of most models are one. */
export type PerFactor<T> = T | readonly T[];

/** What images are wanted, and how codes are drawn. */
export interface GenerateOptions<C = number> {
  /** [N] */
  readonly conditions: ArrayLike<C>;
  /**
   * Image i of a run depends on the seed and its index alone, not on the batch that it is made in. With a list, one for each
   * image, every image is the one of index `firstIndex` in a run of its own: requests of several users in one batch.
   * Default 0.
   */
  readonly seed?: number | ArrayLike<number> | undefined;
  /** Index of the first image of this batch, or of each image; default 0. */
  readonly firstIndex?: number | ArrayLike<number> | undefined;
  /** Default: none, a constant scale of 1. */
  readonly guidance?: PerFactor<Guidance> | undefined;
  /** [N]: each image's own scale, in place of that of `guidance`. */
  readonly scales?: ArrayLike<number> | undefined;
  /** See {@link SamplingOptions}; default 1. */
  readonly temperature?: PerFactor<number> | undefined;
  /** Default 0, which keeps all codes. */
  readonly topK?: PerFactor<number> | undefined;
  /** Default 1, which keeps all codes. */
  readonly topP?: PerFactor<number> | undefined;
  /** Default: as they are sampled, the paper's loop. */
  readonly drafts?: DraftPolicy | undefined;
  /** What of the trust in a token's own drafts is taken back when it becomes final; default: nothing, the paper's loop. */
  readonly leaveOneOut?: LeaveOneOut | undefined;
  /** Which random numbers codes are drawn with; default `"step"`, numbers of its own for every draw. */
  readonly draws?: Draws | undefined;
  /**
   * W: positions of an image that one step predicts after, with drafts of those not yet final; default 1. See {@link generate}.
   * Which codes come out does not depend on it.
   */
  readonly parallel?: number | undefined;
  /** Keep all drafts of every position. */
  readonly trace?: boolean | undefined;
  /** Keep the probabilities that final tokens and drafts were drawn with. */
  readonly probabilities?: boolean | undefined;
  /** Stops the loop between two steps, which then throws the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/** The draft policy of the paper, the default. */
export const RAW: DraftPolicy = { kind: "raw" };

/** What is each image's own. */
export interface Request extends ImageAddress {
  readonly scale?: number;
}

/** [N] */
export function requestsOf<C>({ conditions, seed = 0, firstIndex = 0, scales }: GenerateOptions<C>): Request[] {
  const own = typeof seed !== "number";
  const indexOf = (row: number): number => {
    if (typeof firstIndex !== "number") return firstIndex[row]!;
    return own ? firstIndex : firstIndex + row;
  };
  return Array.from({ length: conditions.length }, (_, row) => ({
    seed: own ? seed[row]! : seed,
    image: indexOf(row),
    ...(scales && { scale: scales[row]! }),
  }));
}

/** How one sub-token is drawn, and guided. */
export interface Factor extends FactorSampling {
  readonly guidance: Guidance;
}

/** How each sub-token is drawn; one of them stands for a whole token. */
export function factorsOf<C>({ factors = [], vocabSize }: Decoder<C>, options: GenerateOptions<C>): Factor[] {
  const { guidance = UNGUIDED } = options;
  const { temperature = UNFILTERED.temperature, topK = UNFILTERED.topK, topP = UNFILTERED.topP } = options;
  const sizes = factors.length === 0 ? [vocabSize] : factors;
  const nth = <T>(value: PerFactor<T>, factor: number, name: string): T => {
    if (!Array.isArray(value)) return value as T;
    if (value.length === sizes.length) return value[factor] as T;
    throw new TensorARError(
      `generate: ${value.length} values of ${name} for ${sizes.length} sub-tokens; pass one, or one for each`,
    );
  };
  return sizes.map((size, factor) => ({
    size,
    guidance: nth(guidance, factor, "guidance"),
    sampling: {
      temperature: nth(temperature, factor, "temperature"),
      topK: nth(topK, factor, "topK"),
      topP: nth(topP, factor, "topP"),
    },
    categorical: createCategorical(size),
  }));
}

/** @throws TensorARError naming the option that is out of range, or does not fit the decoder */
export function checkOptions<C>(decoder: Decoder<C>, options: GenerateOptions<C>): void {
  requireOptions("generate", decoder, ["windowSize", "tokens", "vocabSize", "start"]);
  requireOptions("generate", options, []);
  const { windowSize, tokens } = decoder;
  const { conditions, firstIndex = 0, seed, scales } = options;
  if (!conditions?.length) throw new TensorARError("generate: no conditions; pass one for each image");
  for (const [name, list] of Object.entries({ seed, firstIndex, scales }))
    if (typeof list === "object" && list?.length !== conditions.length)
      throw new TensorARError(
        `generate: ${list?.length ?? 0} values of ${name} for ${conditions.length} images; give one each`,
      );
  for (const index of typeof firstIndex === "number" ? [firstIndex] : Array.from(firstIndex))
    if (!(Number.isInteger(index) && index >= 0))
      throw new TensorARError(`generate: firstIndex ${index} is no image; use 0 or more`);
  if (windowSize > tokens)
    throw new TensorARError(`generate: window ${windowSize} does not fit an image of ${tokens} tokens`);
  for (const { sampling, guidance } of factorsOf(decoder, options)) {
    checkSampling(sampling);
    for (const scale of scales ? Array.from(scales) : [guidance?.scale]) checkGuidance({ ...guidance, scale });
  }
  checkDrafts(options.drafts ?? RAW, windowSize);
  checkDraws(options);
  if (!options.leaveOneOut) return;
  checkLeaveOneOut(options.leaveOneOut, windowSize);
  if ((decoder.factors?.length ?? 1) > 1)
    throw new TensorARError("generate: leaveOneOut takes whole tokens; leave it out for models of sub-tokens");
}

function checkDraws<C>({ draws = "step", parallel = 1 }: GenerateOptions<C>): void {
  if (draws !== "step" && draws !== "position")
    throw new TensorARError(`draws ${quote(draws)} are unknown; use "step" or "position"`);
  if (!(Number.isInteger(parallel) && parallel >= 1))
    throw new TensorARError(`parallel ${parallel} is out of range; use 1 for one position a step, or more`);
}
