import type { TensorData } from "@tensorar/checkpoint";
import { resizeBicubic, toFloatImages, toPixels } from "@tensorar/data";
import { type Params, toParams } from "@tensorar/model";
import type { TensorFunction } from "@tensorar/program";
import { createTokenizer, type Tokenizer, type TokenizerKind } from "@tensorar/tokenizer";
import type { TokenizerFolder } from "@tensorar/tokenizer/node";
import type { Engine, InputSpecs, Runnable } from "@tensorar/training";
import * as tf from "@tensorflow/tfjs-core";

/** A tokenizer made ready on an engine: pixels to codes, codes to pixels, and pooled features of images. */
export interface TokenizerRunner {
  /** V */
  readonly codebookSize: number;
  /** Rows and columns of codes. */
  readonly grid: readonly [number, number];
  /** uint8 [N, S, S, 3] → codes [N, T] */
  encode(pixels: Uint8Array): Promise<Int32Array>;
  /**
   * codes [N, T] → uint8 [N, S, S, 3], at the tokenizer's size or resized to another
   * @throws the reason of `signal` when it aborts
   */
  decode(codes: Int32Array, size?: number, signal?: AbortSignal): Promise<Uint8Array>;
  /** uint8 [N, S, S, 3] → encoder features averaged over each quarter of the grid, [N, dims] */
  features(pixels: Uint8Array): Promise<{ data: Float32Array; dims: number }>;
  dispose(): Promise<void>;
}

/**
 * Pixels that pass through a network at once, whatever is asked for: 4 images of 256 × 256, which take 0.7 GB in LlamaGen's
 * decoder. More at once are no faster.
 */
const PIXELS_AT_ONCE = 2 ** 18;

/** Ranges of at most as many images as pass through at once. */
function* parts(count: number, imageSize: number): Generator<{ readonly first: number; readonly end: number }> {
  const most = Math.max(1, Math.floor(PIXELS_AT_ONCE / imageSize ** 2));
  for (let first = 0; first < count; first += most) yield { first, end: Math.min(count, first + most) };
}

/** Mean over each cell of a 2 × 2 division of the grid: [N, h, w, C] → [N, 4 · C]. Keeps where things are, not only what. */
function poolQuarters(latents: tf.Tensor4D): tf.Tensor {
  const [, h, w, C] = latents.shape;
  // Blocks of an odd grid share its middle; one of a single row or column has one block there.
  const blocks = [Math.ceil(h / 2), Math.ceil(w / 2)] as [number, number];
  const strides = [Math.max(1, Math.floor(h / 2)), Math.max(1, Math.floor(w / 2))] as [number, number];
  const pooled = tf.avgPool(latents, blocks, strides, "valid"); // [N, 2, 2, C]
  const [, rows, columns] = pooled.shape;
  return tf.reshape(pooled, [-1, rows * columns * C]);
}

/** Its networks are prepared when they are first used: sampling only decodes. */
export async function openTokenizer(folder: TokenizerFolder<TokenizerKind>, engine: Engine): Promise<TokenizerRunner> {
  const { imageSize } = folder;
  const params = toParams(folder.tensors);
  const tokenizer = createTokenizer(folder);
  const grid = tokenizer.gridOf(imageSize);
  const T = grid[0] * grid[1];
  const { encode, features, decode } = networksOf(tokenizer, params, engine, imageSize);
  return {
    codebookSize: tokenizer.codebookSize,
    grid,
    async encode(pixels) {
      const run = await encode.open();
      const made = await overImages(async (images) => (await run({ images })).codes, pixels, imageSize);
      return joined(new Int32Array(imagesIn(pixels, imageSize) * T), made);
    },
    async decode(codes, size = imageSize, signal) {
      const run = await decode.open();
      return decodeParts(async (codes) => (await run({ codes })).images, codes, { T, imageSize, size, signal });
    },
    async features(pixels) {
      const run = await features.open();
      const made = await overImages(async (images) => (await run({ images })).features, pixels, imageSize);
      const dims = made[0]!.shape[1]!;
      return { data: joined(new Float32Array(imagesIn(pixels, imageSize) * dims), made), dims };
    },
    async dispose() {
      await Promise.all([encode, features, decode].map((network) => network.dispose()));
      tf.dispose(params);
    },
  };
}

interface Images {
  readonly images: tf.Tensor4D;
}

/** The parts of a tokenizer on an engine. */
function networksOf(tokenizer: Tokenizer, params: Params, engine: Engine, imageSize: number) {
  const grid = tokenizer.gridOf(imageSize);
  const images = { images: { dtype: "float32", shape: ["batch", imageSize, imageSize, 3] } } as const;
  const codes = { codes: { dtype: "int32", shape: ["batch", grid[0] * grid[1]] } } as const;
  return {
    encode: lazily(engine, ({ images }: Images) => ({ codes: tokenizer.encode(params, images).codes }), images),
    features: lazily(
      engine,
      ({ images }: Images) => ({ features: poolQuarters(tokenizer.encode(params, images).features) }),
      images,
    ),
    decode: lazily(
      engine,
      ({ codes }: { codes: tf.Tensor2D }) => ({ images: tokenizer.decode(params, codes, grid) }),
      codes,
    ),
  };
}

/** A function that is prepared when it is first asked for. */
function lazily<const S extends InputSpecs, O extends object>(engine: Engine, fn: TensorFunction<S, O>, inputs: S) {
  let runnable: Promise<Runnable<S, O>> | undefined;
  return {
    open(): Promise<Runnable<S, O>> {
      runnable ??= engine.prepare(fn, inputs);
      return runnable;
    },
    dispose: async (): Promise<void> => (await runnable)?.dispose(),
  };
}

const imagesIn = (pixels: Uint8Array, imageSize: number): number => pixels.length / (imageSize * imageSize * 3);

/** What a network of images makes of all of them, [N, ...] part by part. */
async function overImages(
  network: (images: TensorData) => Promise<TensorData>,
  pixels: Uint8Array,
  imageSize: number,
): Promise<TensorData[]> {
  const bytes = imageSize * imageSize * 3;
  const made: TensorData[] = [];
  for (const { first, end } of parts(imagesIn(pixels, imageSize), imageSize)) {
    const data = toFloatImages(pixels.subarray(first * bytes, end * bytes));
    made.push(await network({ dtype: "float32", shape: [end - first, imageSize, imageSize, 3], data }));
  }
  return made;
}

/** Pixels of all codes [N, T], part by part, resized where another size is asked for. */
async function decodeParts(
  network: (codes: TensorData) => Promise<TensorData>,
  codes: Int32Array,
  {
    T,
    imageSize,
    size,
    signal,
  }: {
    readonly T: number;
    readonly imageSize: number;
    readonly size: number;
    readonly signal: AbortSignal | undefined;
  },
): Promise<Uint8Array> {
  const count = codes.length / T;
  const pixels = new Uint8Array(count * size * size * 3);
  for (const { first, end } of parts(count, Math.max(size, imageSize))) {
    signal?.throwIfAborted();
    const data = codes.subarray(first * T, end * T);
    const images = await network({ dtype: "int32", shape: [end - first, T], data });
    const decoded = images.data as Float32Array;
    const shape = { count: end - first, height: imageSize, width: imageSize };
    const sized = size === imageSize ? decoded : resizeBicubic(decoded, shape, size);
    pixels.set(toPixels(sized), first * size * size * 3);
  }
  return pixels;
}

function joined<Values extends Int32Array | Float32Array>(out: Values, made: readonly TensorData[]): Values {
  let at = 0;
  for (const { data } of made) {
    out.set(data as Values, at);
    at += data.length;
  }
  return out;
}
