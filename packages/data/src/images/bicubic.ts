import { expectImages, type ImageShape } from "./pixels";

/** Of the cubic kernel, as PyTorch's `interpolate(mode="bicubic")` has it. */
const SHARPNESS = -0.75;

/**
 * Resizes images without smoothing first, the way the originals bring samples to the size that they are scored at.
 * Source: PyTorch `torch.nn.functional.interpolate(mode="bicubic", align_corners=False, antialias=False)`, which
 * LlamaGen `autoregressive/sample/sample_c2i_ddp.py` calls.
 *
 * @param images float32 [count, height, width, 3]
 * @returns float32 [count, size, size, 3]
 */
export function resizeBicubic(images: Float32Array, shape: ImageShape, size: number): Float32Array {
  expectImages("resizeBicubic", images.length, shape);
  const { count, height, width } = shape;
  const rows = Array.from({ length: size }, (_, row) => taps(row, size, height));
  const columns = Array.from({ length: size }, (_, column) => taps(column, size, width));
  const out = new Float32Array(count * size * size * 3);
  for (let image = 0; image < count; image++) {
    const from = images.subarray(image * height * width * 3);
    for (const [y, row] of rows.entries()) {
      for (const [x, column] of columns.entries()) {
        for (let channel = 0; channel < 3; channel++) {
          let sum = 0;
          for (const [fromY, weightY] of row) {
            for (const [fromX, weightX] of column)
              sum += weightY * weightX * from[(fromY * width + fromX) * 3 + channel]!;
          }
          out[((image * size + y) * size + x) * 3 + channel] = sum;
        }
      }
    }
  }
  return out;
}

/** The four pixels that make one of the result, and their weights; beyond the edge its pixel counts again. */
function taps(index: number, size: number, from: number): (readonly [pixel: number, weight: number])[] {
  const center = ((index + 0.5) * from) / size - 0.5;
  const first = Math.floor(center) - 1;
  return [0, 1, 2, 3].map((tap) => {
    const pixel = first + tap;
    return [Math.min(from - 1, Math.max(0, pixel)), cubic(Math.abs(center - pixel))] as const;
  });
}

/** Keys' kernel at a distance below 2. */
const cubic = (x: number): number =>
  x <= 1
    ? ((SHARPNESS + 2) * x - (SHARPNESS + 3)) * x * x + 1
    : ((SHARPNESS * x - 5 * SHARPNESS) * x + 8 * SHARPNESS) * x - 4 * SHARPNESS;
