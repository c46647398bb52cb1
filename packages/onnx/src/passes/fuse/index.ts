import { TensorARError } from "@tensorar/core";
import type { Graph } from "../../graph";
import { eliminateCommonSubexpressions } from "../cse";
import { activations } from "./activations";
import { norms, skipNorms } from "./norms";
import { type Pattern, replaceAll } from "./replace";
import { rotary, rotaryParts } from "./rotary";
import { mergedSplits, undoneConcat } from "./splits";

const TARGETS = ["cpu", "cuda", "webgpu", "directml"] as const;

/** Execution providers of ONNX Runtime that run its own operators. */
export type FusionTarget = (typeof TARGETS)[number];

/** In this order: a pattern finds what those before it have made. */
const PATTERNS: readonly Pattern[] = [norms, skipNorms, activations, rotary, rotaryParts, undoneConcat, mergedSplits];

/**
 * What a provider is better off without. All four have kernels of every operator, in float32 and float16. Source: ONNX
 * Runtime's `docs/OperatorKernels.md`, and for WebGPU the kernels that `contrib_ops/webgpu/webgpu_contrib_kernels.cc`
 * registers.
 * - cpu: the norm of a sum takes as long as sum and norm at 2 rows of width 768; at 16 rows 1.6 times, layer norms 3 times
 *   (measured, 1.30).
 */
const EXCEPTIONS: Readonly<Partial<Record<FusionTarget, readonly Pattern[]>>> = { cpu: [skipNorms] };

/**
 * Norms, rotary embeddings and activations as ONNX Runtime's own operators. Its optimizer finds some of them by itself, on CPU and
 * CUDA more than on DirectML, and on WebGPU none.
 *
 * @throws TensorARError for another provider
 */
export function fuseOperators(graph: Graph, target: FusionTarget): Graph {
  if (!TARGETS.includes(target))
    throw new TensorARError(`fuse: "${target}"; use ${TARGETS.join(", ")}, or leave it out`);
  const patterns = PATTERNS.filter((pattern) => !EXCEPTIONS[target]?.includes(pattern));
  return patterns.reduce((fused, pattern) => eliminateCommonSubexpressions(replaceAll(fused, pattern)), graph);
}
