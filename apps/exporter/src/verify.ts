import { join } from "node:path";
import type { TensorData } from "@tensorar/checkpoint";
import { loadModel } from "@tensorar/model/node";
import { openModel } from "@tensorar/onnx";
import { loadTokenizer } from "@tensorar/tokenizer/node";
import * as tf from "@tensorflow/tfjs-core";
import type * as ort from "onnxruntime-node";
import { TensorARError } from "./errors";
import { decoderStep, type ExportedFunction, imageDecoder } from "./functions";
import { readManifest } from "./manifest";
import { decoderInputs, imageInputs } from "./random-inputs";

export interface Comparison {
  readonly file: string;
  readonly output: string;
  readonly batch: number;
  /** Largest |exported − eager| over all values of this output. */
  readonly largestDifference: number;
  /** Largest |eager| value, for scale. */
  readonly largestValue: number;
  readonly withinTolerance: boolean;
}

type Values = Record<string, TensorData | TensorData[]>;

const toTensor = ({ data, shape, dtype }: TensorData): tf.Tensor =>
  tf.tensor(data as Float32Array, [...shape], dtype as "float32" | "int32");

function runEagerly(fn: ExportedFunction, inputs: Values): Record<string, Float32Array[]> {
  return tf.tidy(() => {
    const tensors = Object.fromEntries(
      Object.entries(inputs).map(([key, value]) => [key, Array.isArray(value) ? value.map(toTensor) : toTensor(value)]),
    );
    const outputs = fn.run(tensors);
    return Object.fromEntries(
      Object.entries(outputs).map(([key, value]) => [
        key,
        (Array.isArray(value) ? value : [value]).map((tensor) => tensor.dataSync<"float32">().slice()),
      ]),
    ) as never;
  }) as unknown as Record<string, Float32Array[]>;
}

/**
 * float32 sums in another order differ by a few units in the last place of the largest term, and layers add up:
 * 1e-4 of the largest value is an order of magnitude above what correct exports showed and far below any mistake.
 */
const RELATIVE_TOLERANCE = 1e-4;

function compare(file: string, batch: number, eager: Record<string, Float32Array[]>, exported: Values): Comparison[] {
  return Object.entries(eager).map(([output, expected]) => {
    const given = exported[output];
    if (given === undefined) throw new TensorARError(`${file}: has no output "${output}"; export it again`);
    const actual = (Array.isArray(given) ? given : [given]).map(({ data }) => data as Float32Array);
    let largestDifference = 0;
    let largestValue = 0;
    expected.forEach((values, part) => {
      if (actual[part]?.length !== values.length)
        throw new TensorARError(
          `${file}: output "${output}" has ${actual[part]?.length} values, expected ${values.length}; export it again`,
        );
      values.forEach((value, i) => {
        const difference = Math.abs(actual[part]![i]! - value);
        if (!(difference <= largestDifference)) largestDifference = difference; // NaN stays
        largestValue = Math.max(largestValue, Math.abs(value));
      });
    });
    return {
      file,
      output,
      batch,
      largestDifference,
      largestValue,
      withinTolerance: largestDifference <= RELATIVE_TOLERANCE * Math.max(1, largestValue),
    };
  });
}

/** Runs both graphs of an export and the eager model on fresh random inputs, at two batch sizes. */
export async function verifyExport(dir: string, runtime: typeof ort, seed: number): Promise<Comparison[]> {
  const manifest = await readManifest(dir);
  const functions = [
    { fn: decoderStep(await loadModel(manifest.model)), inputsOf: decoderInputs },
    { fn: imageDecoder(await loadTokenizer(manifest.tokenizer)), inputsOf: imageInputs },
  ];
  const comparisons: Comparison[] = [];
  for (const { fn, inputsOf } of functions) {
    const exported = await openModel(join(dir, fn.file), { runtime });
    for (const batch of [1, 3]) {
      const inputs = inputsOf(manifest, batch, seed);
      comparisons.push(...compare(fn.file, batch, runEagerly(fn, inputs), (await exported(inputs as never)) as Values));
    }
    await exported.dispose();
    tf.dispose(fn.weights);
  }
  return comparisons;
}
