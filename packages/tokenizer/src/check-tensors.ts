import type { TensorData } from "@tensorar/checkpoint";
import { TensorARError } from "@tensorar/core";
import type { VqConfig } from "./config";
import { createTokenizer, type TokenizerSpec } from "./tokenizer";

type Tensors = Readonly<Record<string, Pick<TensorData, "shape">>>;

/** How messages call a kind. */
const LABELS = { vq: "VQ", maskgit: "MaskGIT-VQGAN", magvit2: "Open-MAGVIT2" } as const;

const LISTED = 10;

/** {@link checkTokenizerTensors} for LlamaGen's VQ autoencoder. */
export const checkVqTensors = (config: VqConfig, tensors: Tensors, source: string): void =>
  checkTokenizerTensors({ kind: "vq", config }, tensors, source);

/**
 * Checks that loaded tensors are exactly the parameters of a tokenizer. LlamaGen's buffer `quantize.codebook_used` may
 * be there when its `codebook_show_usage` says so.
 * @param source where they came from, for the message
 * @throws TensorARError listing missing, unexpected and misshapen tensors
 */
export function checkTokenizerTensors(spec: TokenizerSpec, tensors: Tensors, source: string): void {
  const { shapes } = createTokenizer(spec);
  const buffers = buffersOf(spec);
  const problems: string[] = [];
  for (const [name, shape] of Object.entries(shapes)) {
    const found = Object.hasOwn(tensors, name) ? tensors[name] : undefined;
    if (!found) problems.push(`"${name}" [${shape}] is missing`);
    else if (found.shape.join() !== shape.join()) problems.push(`"${name}" is [${found.shape}], not [${shape}]`);
  }
  for (const name of Object.keys(tensors)) {
    if (!Object.hasOwn(shapes, name) && !buffers.includes(name)) problems.push(`"${name}" is not part of the model`);
  }
  if (problems.length === 0) return;
  const rest = problems.length > LISTED ? `; and ${problems.length - LISTED} more` : "";
  throw new TensorARError(
    `${source}: tensors do not fit the ${LABELS[spec.kind]} config: ${problems.slice(0, LISTED).join("; ")}${rest}; ` +
      "use the config that the checkpoint was trained with",
  );
}

/** Buffers of the original that hold no parameters: recently used codes, for its codebook usage. */
const buffersOf = (spec: TokenizerSpec): readonly string[] =>
  spec.kind === "vq" && spec.config.codebook_show_usage ? ["quantize.codebook_used"] : [];
