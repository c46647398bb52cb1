import type { TensorData } from "@tensorar/core";
import { PIECE_BYTES } from "../checkpoint-file";
import type { ByteSource } from "../source";
import { bytesPerElement, elementCount, tensorFromBytes } from "../tensor";
import type { StoredTensor } from "./pickle/values";

/** Whether a tensor's elements follow one another in row-major order. */
export function isContiguous({ shape, strides }: StoredTensor): boolean {
  let step = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    if (shape[axis] !== 1 && strides[axis] !== step) return false;
    step *= shape[axis]!;
  }
  return true;
}

/** Numbers as wide as an element; only their bits are copied. */
const WORDS = { 1: Uint8Array, 2: Uint16Array, 4: Uint32Array, 8: BigUint64Array } as const;
type Words = Uint8Array | Uint16Array | Uint32Array | BigUint64Array;

interface Axis {
  readonly size: number;
  readonly from: number;
  readonly to: number;
}

/**
 * The elements of a view in row-major order, in an array of their own. Reads blocks of at most {@link PIECE_BYTES} of the
 * storage, not the storage.
 *
 * @param begin position of the storage's first byte
 */
export async function gather(source: ByteSource, begin: number, tensor: StoredTensor): Promise<TensorData> {
  const { dtype, shape, strides, offset } = tensor;
  const width = bytesPerElement(dtype) as keyof typeof WORDS;
  const result = new Uint8Array(elementCount(shape)! * width);
  const target = new WORDS[width](result.buffer);
  let step = target.length;
  const axes = shape.map((size, axis): Axis => {
    step /= size;
    return { size, from: strides[axis]!, to: step };
  });
  axes.sort((a, b) => b.from - a.from); // so that blocks of the first axes are blocks of the file
  const limit = Math.floor(PIECE_BYTES / width);

  const copyBlock = async (block: readonly Axis[], from: number, to: number): Promise<void> => {
    const span = block.reduce((last, { size, from: stride }) => last + (size - 1) * stride, 1);
    if (span <= limit) {
      const first = begin + from * width;
      const bytes = await source.read(first, first + span * width);
      copyStrided(new WORDS[width](bytes.buffer as ArrayBuffer), 0, target, to, block, 0);
      return;
    }
    const axis = block.findIndex(({ size }) => size > 1);
    const { size, from: stride, to: targetStride } = block[axis]!;
    const inner = block.slice(axis + 1);
    const innerSpan = inner.reduce((last, other) => last + (other.size - 1) * other.from, 1);
    const rows = Math.max(1, Math.min(size - 1, Math.floor((limit - innerSpan) / stride) + 1));
    for (let row = 0; row < size; row += rows) {
      const part = { size: Math.min(rows, size - row), from: stride, to: targetStride };
      await copyBlock([part, ...inner], from + row * stride, to + row * targetStride);
    }
  };
  if (target.length > 0) await copyBlock(axes, offset, 0);
  return tensorFromBytes(dtype, shape, result);
}

function copyStrided(from: Words, at: number, to: Words, toAt: number, axes: readonly Axis[], axis: number): void {
  const { size, from: step, to: toStep } = axes[axis] ?? { size: 1, from: 0, to: 0 };
  if (axis >= axes.length - 1) {
    for (let i = 0; i < size; i++) to[toAt + i * toStep] = from[at + i * step]!;
    return;
  }
  for (let i = 0; i < size; i++) copyStrided(from, at + i * step, to, toAt + i * toStep, axes, axis + 1);
}
