import { TensorARError } from "@tensorar/core";
import type { Graph, Value } from "../graph";
import { halveWeights } from "./float16-weights";
import { computeInFloat16 } from "./mixed-precision";
import { rewrite } from "./rewrite";

/**
 * How weights of matrix products are stored: as half-precision numbers, or as whole numbers with one factor for each block of
 * a row.
 */
export interface Quantization {
  readonly bits: 4 | 8 | 16;
  /**
   * Neighbours along a row that share a factor: 16, 32, 64, 128 or 256. Default: 32 for 4 bits; for 8, of which fewer factors
   * cost little, 128 or 64 where rows are a multiple of that, else 32.
   */
  readonly blockSize?: number;
  /**
   * What products are computed in. For 4 and 8 bits: "int8", the default, rounds activations to 8 bits as well, which ONNX
   * Runtime does much faster on CPU; "float32" leaves them. For 16 bits: "float32", the default, or "float16" for GPUs,
   * with norms, softmax and the results of the last products in float32.
   */
  readonly activations?: "int8" | "float16" | "float32";
  /** Weights that stay as they are, by name; what reads them is computed in float32. */
  readonly keep?: (name: string) => boolean;
  /** Inputs and outputs of the graph that are float16 too, by name, where products are computed in it. Default: none. */
  readonly ports?: (name: string) => boolean;
}

/** Attribute `accuracy_level` of `MatMulNBits`. */
export const ACCURACY = { float32: 1, int8: 4 } as const;

/** Block sizes of ONNX Runtime's MatMulNBits. */
export const BLOCK_SIZES: readonly number[] = [16, 32, 64, 128, 256];

/**
 * Stores the weights of matrix products in fewer bits. In 16 they are half-precision numbers, which every runtime turns into
 * float32 when it loads the file: half the file, and the speed of float32. In 4 or 8: products with a weight `[out, in]` become ONNX Runtime's
 * `MatMulNBits` (domain `com.microsoft`). Tables that are only looked up stay as they are.
 *
 * @throws TensorARError when a size is not one that ONNX Runtime takes, or a weight is not finite
 */
export function quantizeWeights(graph: Graph, { bits, blockSize, activations, keep, ports }: Quantization): Graph {
  if (bits !== 4 && bits !== 8 && bits !== 16) throw new TensorARError(`quantize: ${bits} bits; use 4, 8 or 16`);
  if (activations === (bits === 16 ? "int8" : "float16"))
    throw new TensorARError(`quantize: activations "${activations}" do not go with ${bits} bits; leave them out`);
  if (ports && activations !== "float16")
    throw new TensorARError('quantize: ports are float16 only where activations are; add activations: "float16"');
  if (bits === 16)
    return activations === "float16" ? computeInFloat16(graph, { keep, ports }) : halveWeights(graph, keep);
  if (blockSize !== undefined && !BLOCK_SIZES.includes(blockSize))
    throw new TensorARError(`quantize: blockSize ${blockSize}; use ${BLOCK_SIZES.join(", ")}`);
  const stored = new Map<Value, { codes: Value; scales: Value }>();
  return rewrite(graph, (node, g) => {
    const [x, weight] = node.inputs as [Value, Value];
    if (node.op !== "Gemm" || node.attributes.transA !== 0 || node.attributes.transB !== 1) return undefined;
    if (weight.source.kind !== "weight" || weight.dtype !== "float32" || keep?.(weight.source.name)) return undefined;
    const [N, K] = weight.shape as [number, number];
    const block = blockSize ?? usualBlock(bits, K);
    if (!stored.has(weight)) stored.set(weight, quantized(weight, bits, block));
    const { codes, scales } = stored.get(weight)!;
    const attributes = {
      K,
      N,
      bits,
      block_size: block,
      accuracy_level: ACCURACY[activations === "float32" ? "float32" : "int8"],
    };
    return [g.op("MatMulNBits", [x, codes, scales], node.outputs[0]!, attributes)];
  });
}

const usualBlock = (bits: 4 | 8, K: number): number =>
  (bits === 8 ? [128, 64].find((size) => K % size === 0) : undefined) ?? 32;

/**
 * Weight `[N, K]` as codes `[N, blocks, blockSize · bits / 8]` and factors `[N · blocks]`, which lie as MatMulNBits reads them.
 */
function quantized({ source, shape }: Value, bits: 4 | 8, blockSize: number): { codes: Value; scales: Value } {
  const { name, data } = source as Extract<Value["source"], { kind: "weight" }>;
  const [N, K] = shape as [number, number];
  const blocks = Math.ceil(K / blockSize);
  const bytes = (blockSize * bits) / 8;
  const zero = 2 ** (bits - 1);
  const codes = new Uint8Array(N * blocks * bytes).fill(bits === 8 ? zero : zero * 17); // past the end of a row as well
  const scales = new Float32Array(N * blocks);
  quantizeBlocks(name, data, K, bits, blockSize, (block, scale, _start, ofBlock) => {
    scales[block] = scale;
    for (const [i, code] of ofBlock.entries()) {
      const at = block * bytes + (bits === 8 ? i : i >> 1);
      if (bits === 8) codes[at] = code;
      else codes[at] = i & 1 ? (codes[at]! & 15) | (code << 4) : (codes[at]! & 240) | code; // the earlier one in the low half
    }
  });
  return {
    codes: {
      dtype: "uint8",
      shape: [N, blocks, bytes],
      source: { kind: "weight", name: `${name}.codes`, data: codes },
    },
    scales: { dtype: "float32", shape: [N * blocks], source: { kind: "weight", name: `${name}.scales`, data: scales } },
  };
}

/**
 * Rounds rows of K numbers to codes, block by block: number = (code - zero) · scale with zero = 2^(bits-1). The number of largest
 * magnitude in a block takes the one code that has no opposite.
 *
 * @param visit called with each block's number, its scale, where it starts in `data`, and the codes of its numbers, of which
 *   there are fewer at the end of a row; they are valid until the next call
 * @throws TensorARError where a number is not finite
 */
export function quantizeBlocks(
  name: string,
  data: ArrayLike<number>,
  K: number,
  bits: 4 | 8,
  blockSize: number,
  visit: (block: number, scale: number, start: number, codes: Uint8Array) => void,
): void {
  const zero = 2 ** (bits - 1);
  const blocks = Math.ceil(K / blockSize);
  const codes = new Uint8Array(blockSize);
  for (let block = 0; block < (data.length / K) * blocks; block++) {
    const row = Math.floor(block / blocks);
    const start = row * K + (block % blocks) * blockSize;
    const end = Math.min(start + blockSize, (row + 1) * K);
    let extreme = 0;
    for (let i = start; i < end; i++) {
      const value = data[i]!;
      if (!Number.isFinite(value))
        throw new TensorARError(`quantize: weight "${name}" holds ${value} at row ${row}; correct it first`);
      if (Math.abs(value) > Math.abs(extreme)) extreme = value;
    }
    const scale = Math.fround(extreme / -zero);
    const inverse = scale === 0 ? 0 : 1 / scale;
    for (let i = start; i < end; i++)
      codes[i - start] = Math.min(2 * zero - 1, Math.max(0, Math.round(data[i]! * inverse) + zero));
    visit(block, scale, start, codes.subarray(0, end - start));
  }
}
