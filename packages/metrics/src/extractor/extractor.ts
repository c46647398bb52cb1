import { TensorARError } from "@tensorar/core";
import { expectInteger } from "../checks";
import type { FeatureSet } from "../feature-set";
import { expectRgb, type RgbImages } from "../images";
import { checkImageInput, type ImageInput } from "../runtime/image-input";
import {
  findInput,
  findOutput,
  isOpen,
  openSession,
  orRelease,
  type RuntimeSession,
  type RuntimeTensor,
  runtimeTensor,
  type SessionOptions,
} from "../runtime/session";
import { checkPreprocessing, type Preprocessing, preprocess } from "./preprocess";

/** An ONNX network of features, and how it takes images. */
export interface ExtractorOptions extends SessionOptions {
  readonly preprocessing: Preprocessing;
  /** Name of the output that holds the features. */
  readonly output: string;
  /** Name of the input; needed where the model has several. */
  readonly input?: string;
  /** For an output [N, tokens, dims]: which token, such as 0 for the class token of a vision transformer. */
  readonly token?: number;
  /** Width that the features must have; any, unless given. */
  readonly dims?: number;
  /** Images in one run. Default: 16, or the number that the model is fixed to. */
  readonly batchSize?: number;
}

/** A network that turns images into features, ready to run. */
export interface Extractor {
  /** Features of each image, one row each, for the metrics of the main entry point. */
  extract(images: RgbImages): Promise<FeatureSet & { readonly data: Float32Array }>;
  /** Frees the runtime's memory. */
  dispose(): Promise<void>;
}

const WHERE = "userExtractor";
const DEFAULT_BATCH = 16;

/**
 * Opens any network that an ONNX file holds (CLIP, DINOv2, one of your own) as an extractor of features.
 *
 * @throws TensorARError where the file can't be opened, has no such input or output, or its shapes do not fit the
 *   preprocessing; `extract` throws where images or what the network returns do not fit
 */
export async function userExtractor(options: ExtractorOptions): Promise<Extractor> {
  const { preprocessing } = options;
  checkPreprocessing(WHERE, preprocessing);
  for (const name of ["batchSize", "dims", "threads"] as const)
    if (options[name] !== undefined) expectInteger(WHERE, name, options[name], 1, 2 ** 31);
  if (options.token !== undefined) expectInteger(WHERE, "token", options.token, 0, 2 ** 31);
  const session = await openSession(WHERE, options);
  return orRelease(session, () => {
    const input = findInput(WHERE, session, options.input, [], "export the image encoder alone");
    checkOutput(session, options);
    const fed = checkImageInput(WHERE, input, preprocessing);
    if (fed.fixed !== undefined && options.batchSize !== undefined && options.batchSize !== fed.fixed)
      throw new TensorARError(
        `${WHERE}: the model takes ${fed.fixed} images at once, not ${options.batchSize}; leave batchSize out`,
      );
    const run = new Runs(session, fed, options);
    return { extract: (images) => run.extract(images), dispose: () => session.release() };
  });
}

function checkOutput(session: RuntimeSession, { output, token, dims }: ExtractorOptions): void {
  const { isTensor, type, shape } = findOutput(WHERE, session, output);
  if (!isTensor || type !== "float32")
    throw new TensorARError(
      `${WHERE}: output "${output}" is ${isTensor ? type : "no tensor"}; features must be float32`,
    );
  if (!shape || shape.length === 0) return; // unknown until it runs
  expectRank(output, shape, token);
  const width = shape.at(-1);
  if (dims !== undefined && !isOpen(width) && width !== dims)
    throw new TensorARError(`${WHERE}: output "${output}" is ${width} wide, not dims = ${dims}; choose another output`);
}

function expectRank(output: string, shape: readonly (number | string)[], token: number | undefined): void {
  if (shape.length === (token === undefined ? 2 : 3)) return;
  const wanted = token === undefined ? "[N, dims]" : "[N, tokens, dims]";
  const remedy = token === undefined && shape.length === 3 ? "say which token" : "choose another output";
  throw new TensorARError(`${WHERE}: output "${output}" is [${shape.join(", ")}], not ${wanted}; ${remedy}`);
}

class Runs {
  readonly #batch: number;

  constructor(
    private readonly session: RuntimeSession,
    private readonly input: ImageInput,
    private readonly options: ExtractorOptions,
  ) {
    this.#batch = input.fixed ?? options.batchSize ?? DEFAULT_BATCH;
  }

  async extract(images: RgbImages): Promise<FeatureSet & { readonly data: Float32Array }> {
    expectRgb(WHERE, images);
    const { count } = images;
    let data = new Float32Array(0);
    let dims = 0;
    for (let begin = 0; begin < count; begin += this.#batch) {
      const end = Math.min(count, begin + this.#batch);
      const rows = await this.#run(images, begin, end);
      if (begin === 0) {
        dims = rows.length / (end - begin);
        data = new Float32Array(count * dims);
      }
      data.set(rows, begin * dims);
    }
    return { data, count, dims };
  }

  /** Features of the images `[begin, end)`, row by row. */
  async #run(images: RgbImages, begin: number, end: number): Promise<Float32Array> {
    const { runtime, preprocessing, output, token } = this.options;
    const { size, layout } = preprocessing;
    const count = end - begin;
    const rows = this.input.fixed ?? count; // a model of a fixed number gets zeros after the last image
    const values = new Float32Array(rows * size[0] * size[1] * 3);
    values.set(preprocess(WHERE, images, [begin, end], preprocessing));
    const image = layout === "NCHW" ? [3, ...size] : [...size, 3];
    const fed = runtimeTensor(runtime, "float32", values, this.input.single ? image : [rows, ...image]);
    const outputs = await this.session.run({ [this.input.name]: fed }, [output]);
    const { data, dims: shape } = outputs[output] as RuntimeTensor;
    this.#checkResult(shape, rows);
    const width = shape.at(-1)!;
    const features = data as Float32Array;
    if (token === undefined) return features.subarray(0, count * width);
    const tokens = shape[1]!;
    const picked = new Float32Array(count * width);
    for (let row = 0; row < count; row++) {
      const at = (row * tokens + token) * width;
      picked.set(features.subarray(at, at + width), row * width);
    }
    return picked;
  }

  #checkResult(shape: readonly number[], rows: number): void {
    const { output, token, dims } = this.options;
    expectRank(output, shape, token);
    const found = `${WHERE}: output "${output}" is [${shape.join(", ")}]`;
    if (shape[0] !== rows) throw new TensorARError(`${found} for ${rows} images; there must be one row for each`);
    if (token !== undefined && token >= shape[1]!)
      throw new TensorARError(`${found}: it has no token ${token}; pass one from 0 to ${shape[1]! - 1}`);
    if (dims !== undefined && shape.at(-1) !== dims)
      throw new TensorARError(`${found}, not dims = ${dims} wide; choose another output`);
  }
}
