import { expectInteger } from "../checks";
import { TensorARError } from "../errors";
import type { FeatureSet } from "../feature-set";
import { expectRgb, type RgbImages } from "../images";
import { checkPreprocessing, type Preprocessing, preprocess } from "./preprocess";

/** Tensors of ONNX Runtime, as far as they are used here. */
interface RuntimeTensor {
  readonly type: string;
  readonly dims: readonly number[];
  readonly data: unknown;
}

interface RuntimeValue {
  readonly name: string;
  readonly isTensor: boolean;
  readonly type?: unknown;
  /** A string or a negative number stands for any size. */
  readonly shape?: readonly (number | string)[];
}

interface RuntimeSession {
  readonly inputMetadata: readonly RuntimeValue[];
  readonly outputMetadata: readonly RuntimeValue[];
  // Methods, so that the runtime's own narrower types fit.
  run(feeds: Record<string, unknown>, fetches: readonly string[]): Promise<Record<string, unknown>>;
  release(): Promise<void>;
}

/** The namespace of `onnxruntime-node` or `onnxruntime-web`, as far as it is used here. */
export interface ExtractorRuntime {
  readonly InferenceSession: {
    create(model: never, options?: never): Promise<unknown>;
  };
  readonly Tensor: new (type: "float32", data: Float32Array, dims: readonly number[]) => unknown;
}

export interface ExtractorOptions {
  readonly runtime: ExtractorRuntime;
  /** An ONNX file, by path (Node) or as bytes. */
  readonly model: string | Uint8Array;
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
  /** Execution providers in order of preference. Default: the runtime's. */
  readonly providers?: readonly string[];
  readonly threads?: number;
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
  const session = await openSession(options);
  try {
    const input = findInput(session, options);
    checkOutput(session, options);
    const fixed = checkInput(input, preprocessing);
    if (fixed !== undefined && options.batchSize !== undefined && options.batchSize !== fixed)
      throw new TensorARError(
        `${WHERE}: the model takes ${fixed} images at once, not ${options.batchSize}; leave batchSize out`,
      );
    const run = new Runs(session, input.name, fixed, options);
    return { extract: (images) => run.extract(images), dispose: () => session.release() };
  } catch (error) {
    await session.release();
    throw error;
  }
}

async function openSession({ runtime, model, providers, threads }: ExtractorOptions): Promise<RuntimeSession> {
  if (typeof runtime?.InferenceSession?.create !== "function") {
    const remedy = 'pass the namespace: `import * as ort from "onnxruntime-node"`';
    throw new TensorARError(`${WHERE}: option "runtime" is not ONNX Runtime; ${remedy}`);
  }
  const settings = {
    ...(providers && { executionProviders: providers }),
    ...(threads !== undefined && { intraOpNumThreads: threads }),
    logSeverityLevel: 3,
  };
  try {
    return (await runtime.InferenceSession.create(model as never, settings as never)) as RuntimeSession;
  } catch (cause) {
    const what = typeof model === "string" ? model : "the model";
    throw new TensorARError(`${WHERE}: ONNX Runtime can't open ${what}: ${(cause as Error).message}`, { cause });
  }
}

const listed = (values: readonly RuntimeValue[]): string => values.map(({ name }) => `"${name}"`).join(", ");

function findInput({ inputMetadata }: RuntimeSession, { input }: ExtractorOptions): RuntimeValue {
  if (inputMetadata.length !== 1) {
    const remedy = "export the image encoder alone";
    throw new TensorARError(
      `${WHERE}: the model has the inputs ${listed(inputMetadata)}; one, of images, can be fed; ${remedy}`,
    );
  }
  const [only] = inputMetadata as [RuntimeValue];
  if (input === undefined || input === only.name) return only;
  throw new TensorARError(`${WHERE}: the model has no input "${input}"; its input is "${only.name}"`);
}

/** How many images the model is fixed to; undefined: any number. */
function checkInput(input: RuntimeValue, { size, layout }: Preprocessing): number | undefined {
  const { name, isTensor, type, shape = [] } = input;
  const place = `${WHERE}: input "${name}"`;
  if (!isTensor || type !== "float32")
    throw new TensorARError(`${place} is ${isTensor ? type : "no tensor"}; only float32 is fed; export it so`);
  const wanted = layout === "NCHW" ? [3, ...size] : [...size, 3];
  const [batch, ...rest] = shape;
  const fits = rest.length === 3 && rest.every((side, i) => isOpen(side) || side === wanted[i]);
  if (!fits) {
    const remedy = "set size and layout to what it takes";
    throw new TensorARError(
      `${place} is [${shape.join(", ")}]; the preprocessing makes [N, ${wanted.join(", ")}]; ${remedy}`,
    );
  }
  return isOpen(batch) ? undefined : (batch as number);
}

/** Whether a size is left to each run. */
const isOpen = (size: number | string | undefined): boolean => typeof size !== "number" || size < 0;

function checkOutput({ outputMetadata }: RuntimeSession, { output, token, dims }: ExtractorOptions): void {
  const found = outputMetadata.find(({ name }) => name === output);
  if (!found)
    throw new TensorARError(`${WHERE}: the model has no output "${output}"; it has ${listed(outputMetadata)}`);
  const { isTensor, type, shape } = found;
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
    private readonly input: string,
    private readonly fixed: number | undefined,
    private readonly options: ExtractorOptions,
  ) {
    this.#batch = fixed ?? options.batchSize ?? DEFAULT_BATCH;
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
    const rows = this.fixed ?? count; // a model of a fixed number gets zeros after the last image
    const values = new Float32Array(rows * size[0] * size[1] * 3);
    values.set(preprocess(WHERE, images, [begin, end], preprocessing));
    const dims = layout === "NCHW" ? [rows, 3, ...size] : [rows, ...size, 3];
    const outputs = await this.session.run({ [this.input]: new runtime.Tensor("float32", values, dims) }, [output]);
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
