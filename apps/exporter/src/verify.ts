import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import type { TensorData } from "@tensorar/checkpoint";
import type { TensorSpec, Tensors } from "@tensorar/onnx";
import * as tf from "@tensorflow/tfjs-core";
import type * as ort from "onnxruntime-node";
import { TensorARError } from "./errors";
import {
  DECODER,
  type ExportedFunction,
  GENERATION,
  IMAGE_DECODER,
  imageDecoder,
  modelFunctions,
  type Named,
  NEXT_FACTOR,
  RESIDENT,
  toTensor,
} from "./functions";
import { readManifest } from "./manifest";
import { openGraph } from "./open-graph";
import { availableSessions } from "./providers";
import { decoderInputs, factorRandom, imageInputs } from "./random-inputs";
import { loadSources, type SourceSizes } from "./sources";
import type { SessionSettings, Target } from "./targets";
import { generateBothWays } from "./verify-generation";

export interface Comparison {
  readonly file: string;
  readonly output: string;
  readonly batch: number;
  /** Largest |exported − eager| over all values of this output; NaN when one of them is not a number. */
  readonly largestDifference: number;
  /** Largest |eager| value, for scale. */
  readonly largestValue: number;
  /** For logits: share of all predictions whose likeliest code is the eager model's; else null. */
  readonly agreement: number | null;
  /** Weights were exported in fewer bits: any finite difference is within tolerance. */
  readonly rounded: boolean;
  readonly withinTolerance: boolean;
}

export interface VerifyOptions {
  readonly seed: number;
  /** Default 1 and 3; neither is a size that the graphs were traced at. */
  readonly batches?: readonly number[];
  /** Runs on another target's provider than the one that the export was made for. */
  readonly provider?: Target;
  /** Folders of the eager model; default: where the manifest says. */
  readonly model?: string;
  readonly tokenizer?: string;
}

/**
 * Runs both graphs of an export and the eager model, on the current tfjs backend, on the same fresh random inputs: several
 * batch sizes, and the decoder at the first, middle and last slot.
 *
 * @throws TensorARError when the export or its sources can't be read, or do not belong together
 */
export async function verifyExport(dir: string, runtime: typeof ort, options: VerifyOptions): Promise<Comparison[]> {
  const manifest = await readManifest(dir);
  const modelDir = options.model ?? sourceDir(dir, "model", manifest.model);
  const { model, tokenizer, sizes } = await loadSources(
    modelDir,
    options.tokenizer ?? sourceDir(dir, "tokenizer", manifest.tokenizer),
  );
  expectSameSizes(dir, manifest, modelDir, sizes);
  const { seed, batches = [1, 3] } = options;
  const sessions = await availableSessions(runtime, manifest, options.provider);
  const { functions, weights } = modelFunctions(model, sizes);
  const images = imageDecoder(tokenizer, sizes.grid);
  const inputsOf = randomInputs(sizes, seed);
  try {
    const comparisons: Comparison[] = [];
    const all = { ...functions, [IMAGE_DECODER]: images as unknown as ExportedFunction };
    for (const [file, fn] of Object.entries(all)) {
      if (!(file in manifest.files)) continue;
      const rounded = file !== IMAGE_DECODER && manifest.weights !== "float32";
      comparisons.push(...(await compareAll(dir, file, runtime, sessions, fn, rounded, batches, inputsOf[file]!)));
    }
    if (manifest.files[GENERATION]) {
      for (const batch of batches)
        comparisons.push(
          ...compareGenerated(batch, await generateBothWays(dir, manifest, model, runtime, sessions, { batch, seed })),
        );
    }
    return comparisons;
  } finally {
    tf.dispose([weights, images.weights]);
  }
}

/** Inputs of each graph for a batch; of the decoder at the first, the middle and the last token that it may make final. */
function randomInputs(
  sizes: SourceSizes,
  seed: number,
): Record<string, (batch: number) => readonly Named<TensorData>[]> {
  const tokens = [...new Set([0, Math.floor(sizes.tokens / 2), sizes.tokens - 1])];
  const steps = (batch: number) => tokens.map((token) => decoderInputs(sizes, batch, token, seed));
  return {
    [DECODER]: steps,
    [RESIDENT]: steps,
    [NEXT_FACTOR]: (batch) => [factorRandom(sizes, batch, seed)],
    [IMAGE_DECODER]: (batch) => [imageInputs(sizes, batch, seed)],
  };
}

/** The folder that the manifest of the export in `dir` names. */
function sourceDir(dir: string, option: "model" | "tokenizer", path: string): string {
  const source = resolve(dir, path);
  if (existsSync(join(source, "config.json"))) return source;
  throw new TensorARError(
    `${join(source, "config.json")}: there is no such file, but ${dir} was made from there; say where it is now with --${option}`,
  );
}

/** The manifest must describe the sources: they may have been trained again, or be others. */
function expectSameSizes(dir: string, manifest: SourceSizes, modelDir: string, sizes: SourceSizes): void {
  const { dtype: _, ...cache } = manifest.cache; // the export's own
  for (const [key, value] of Object.entries(sizes)) {
    const exported = JSON.stringify({ ...manifest, cache }[key as keyof SourceSizes]);
    if (exported !== JSON.stringify(value)) {
      throw new TensorARError(
        `${dir} was not made from ${modelDir}: "${key}" is ${exported} in its config.json, ${JSON.stringify(value)} there; export it again`,
      );
    }
  }
}

async function compareAll<Inputs extends Named<TensorSpec>>(
  dir: string,
  file: string,
  runtime: typeof ort,
  sessions: Readonly<Record<string, SessionSettings>>,
  fn: ExportedFunction<Inputs>,
  rounded: boolean,
  batches: readonly number[],
  inputsOf: (batch: number) => readonly Named<TensorData>[],
): Promise<Comparison[]> {
  const graph = await openGraph(dir, file, runtime, sessions);
  try {
    const comparisons: Comparison[] = [];
    for (const batch of batches) {
      const gaps = new Map<string, Gap>();
      for (const inputs of inputsOf(batch)) addGaps(gaps, file, runEagerly(fn, inputs), await graph.run(inputs));
      for (const [output, gap] of gaps) {
        const { largestDifference, largestValue, predictions, agreeing } = gap;
        const withinTolerance = rounded ? Number.isFinite(largestDifference) : isWithinTolerance(gap);
        const agreement = predictions === 0 ? null : agreeing / predictions;
        comparisons.push({ file, output, batch, largestDifference, largestValue, agreement, rounded, withinTolerance });
      }
    }
    return comparisons;
  } finally {
    await graph.dispose();
  }
}

/** The whole-generation graph against the export's own steps: the same codes, and their images. */
function compareGenerated(
  batch: number,
  { whole, stepwise }: Awaited<ReturnType<typeof generateBothWays>>,
): Comparison[] {
  return (["codes", "images"] as const).map((output) => {
    const gap = newGap();
    widen(gap, stepwise[output].data as Float32Array, whole[output].data as Float32Array);
    const within = output === "codes" ? gap.largestDifference === 0 : isWithinTolerance(gap);
    const { largestDifference, largestValue } = gap;
    return {
      ...{ file: GENERATION, output, batch, largestDifference, largestValue },
      ...{ agreement: null, rounded: false, withinTolerance: within },
    };
  });
}

/** The same nesting of tfjs tensors that the function takes; the inputs must be made for it. */
const toTensors = <Inputs>(inputs: Named<TensorData>): Tensors<Inputs> =>
  Object.fromEntries(
    Object.entries(inputs).map(([key, value]) => {
      if (isList(value)) return [key, value.map(toTensor)];
      if (isData(value)) return [key, toTensor(value)];
      return [key, Object.fromEntries(Object.entries(value).map(([name, each]) => [name, toTensor(each)]))];
    }),
  ) as Tensors<Inputs>;

const isList = <T>(value: object): value is readonly T[] => Array.isArray(value);
const isData = (value: object): value is TensorData => "data" in value;
/** Outputs are single tensors or lists. */
const listOf = <T extends object>(value: Named<T>[string]): readonly T[] => (isList<T>(value) ? value : [value as T]);

function runEagerly<Inputs extends Named<TensorSpec>>(
  fn: ExportedFunction<Inputs>,
  inputs: Named<TensorData>,
): Map<string, Float32Array[]> {
  const results = new Map<string, Float32Array[]>();
  tf.tidy(() => {
    for (const [output, value] of Object.entries(fn.run(toTensors<Inputs>(inputs))))
      results.set(
        output,
        listOf(value).map((tensor) => Float32Array.from(tensor.dataSync())),
      );
  });
  return results;
}

interface Gap {
  largestDifference: number;
  largestValue: number;
  /** Rows of logits, and those whose likeliest code is the same. */
  predictions: number;
  agreeing: number;
}

/**
 * float32 sums in another order differ by a few units in the last place of the largest term, and layers add up: 1e-4 of
 * the largest value is an order of magnitude above what correct exports showed and far below any mistake. Where an output
 * is near 0 throughout, the terms that cancelled were of size 1.
 */
const RELATIVE_TOLERANCE = 1e-4;
const ABSOLUTE_TOLERANCE = 1e-5;

const isWithinTolerance = ({ largestDifference, largestValue }: Gap): boolean =>
  largestDifference <= ABSOLUTE_TOLERANCE + RELATIVE_TOLERANCE * largestValue;

const LOGITS = "logits";

const likeliest = (logits: Float32Array, row: number, codes: number): number => {
  let best = 0;
  for (let code = 1; code < codes; code++) if (logits[row + code]! > logits[row + best]!) best = code;
  return best;
};

const newGap = (): Gap => ({ largestDifference: 0, largestValue: 0, predictions: 0, agreeing: 0 });

/** Widens a gap by the values of one output. */
function widen(gap: Gap, expected: ArrayLike<number>, actual: ArrayLike<number>): void {
  for (let i = 0; i < expected.length; i++) {
    gap.largestDifference = Math.max(gap.largestDifference, Math.abs(actual[i]! - expected[i]!)); // NaN stays
    gap.largestValue = Math.max(gap.largestValue, Math.abs(expected[i]!));
  }
}

/** Widens the gap of every output by what these two runs show. */
function addGaps(
  gaps: Map<string, Gap>,
  file: string,
  eager: Map<string, Float32Array[]>,
  exported: Named<TensorData>,
): void {
  for (const [output, expected] of eager) {
    const given = exported[output];
    if (given === undefined) throw new TensorARError(`${file}: there is no output "${output}"; export it again`);
    const actual = listOf(given);
    const gap = gaps.get(output) ?? newGap();
    gaps.set(output, gap);
    for (const [part, values] of expected.entries()) {
      const found = actual[part]?.data as Float32Array | undefined;
      if (found?.length !== values.length) {
        throw new TensorARError(
          `${file}: output "${output}" has ${found?.length ?? 0} values, expected ${values.length}; export it again`,
        );
      }
      widen(gap, values, found);
      if (output === LOGITS) {
        const codes = actual[part]!.shape.at(-1)!;
        for (let row = 0; row < values.length; row += codes) {
          gap.predictions++;
          if (likeliest(values, row, codes) === likeliest(found, row, codes)) gap.agreeing++;
        }
      }
    }
  }
}
