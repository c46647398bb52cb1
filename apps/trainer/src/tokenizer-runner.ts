import type { TensorData } from "@tensorar/checkpoint";
import { createTokenizer, type TokenizerKind } from "@tensorar/tokenizer";
import type { TokenizerFolder } from "@tensorar/tokenizer/node";
import * as tf from "@tensorflow/tfjs-core";
import type { Engine } from "./engine/engine";
import { resizeBicubic } from "./images/bicubic";
import { toFloatImages, toPixels } from "./images/pixels";

/** A tokenizer made ready on an engine: pixels to codes, codes to pixels, and pooled features of images. */
export interface TokenizerRunner {
  /** V */
  readonly codebookSize: number;
  /** Rows and columns of codes. */
  readonly grid: readonly [number, number];
  /** uint8 [N, S, S, 3] → codes [N, T] */
  encode(pixels: Uint8Array): Promise<Int32Array>;
  /** codes [N, T] → uint8 [N, S, S, 3], at the tokenizer's size or resized to another */
  decode(codes: Int32Array, size?: number): Promise<Uint8Array>;
  /** uint8 [N, S, S, 3] → encoder features averaged over each quarter of the grid, [N, dims] */
  features(pixels: Uint8Array): Promise<{ data: Float32Array; dims: number }>;
  dispose(): Promise<void>;
}

/** Weights as tensors that a traced function captures. */
export const tensorsOf = (params: Record<string, TensorData>): Record<string, tf.Tensor> =>
  Object.fromEntries(
    Object.entries(params).map(([name, { data, shape }]) => [
      name,
      tf.tensor(data as Float32Array, [...shape], "float32"),
    ]),
  );

/** Mean over each cell of a 2 × 2 division of the grid: [N, h, w, C] → [N, 4 · C]. Keeps where things are, not only what. */
function poolQuarters(latents: tf.Tensor4D): tf.Tensor {
  const [, h, w, C] = latents.shape;
  const pooled = tf.avgPool(latents, [h / 2, w / 2], [h / 2, w / 2], "valid"); // [N, 2, 2, C]
  return tf.reshape(pooled, [-1, 4 * C]);
}

export async function openTokenizer(folder: TokenizerFolder<TokenizerKind>, engine: Engine): Promise<TokenizerRunner> {
  const { imageSize } = folder;
  const params = tensorsOf(folder.tensors);
  const tokenizer = createTokenizer(folder);
  const grid = tokenizer.gridOf(imageSize);
  const T = grid[0] * grid[1];
  const images = { dtype: "float32", shape: ["batch", imageSize, imageSize, 3] } as const;
  const encode = await engine.prepare(
    (({ images }: { images: tf.Tensor4D }) => ({ codes: tokenizer.encode(params, images).codes })) as never,
    { images },
  );
  const features = await engine.prepare(
    (({ images }: { images: tf.Tensor4D }) => ({
      features: poolQuarters(tokenizer.encode(params, images).features),
    })) as never,
    { images },
  );
  const decode = await engine.prepare(
    (({ codes }: { codes: tf.Tensor2D }) => ({ images: tokenizer.decode(params, codes, grid) })) as never,
    {
      codes: { dtype: "int32", shape: ["batch", T] },
    },
  );
  const imageData = (pixels: Uint8Array): TensorData => ({
    dtype: "float32",
    shape: [pixels.length / (imageSize * imageSize * 3), imageSize, imageSize, 3],
    data: toFloatImages(pixels),
  });
  return {
    codebookSize: tokenizer.codebookSize,
    grid,
    encode: async (pixels) => ((await encode({ images: imageData(pixels) })).codes as TensorData).data as Int32Array,
    async decode(codes, size = imageSize) {
      const count = codes.length / T;
      const outputs = await decode({ codes: { dtype: "int32", shape: [count, T], data: codes } });
      const decoded = (outputs.images as TensorData).data as Float32Array;
      const shape = { count, height: imageSize, width: imageSize };
      return toPixels(size === imageSize ? decoded : resizeBicubic(decoded, shape, size));
    },
    async features(pixels) {
      const { data, shape } = (await features({ images: imageData(pixels) })).features as TensorData;
      return { data: data as Float32Array, dims: shape[1]! };
    },
    async dispose() {
      await Promise.all([encode.dispose(), decode.dispose(), features.dispose()]);
      tf.dispose(params);
    },
  };
}
