import { fileURLToPath } from "node:url";
import { attachTensorAR, modelPrograms, toParams } from "@tensorar/model";
import { loadModel } from "@tensorar/model/node";
import { compileProgram } from "@tensorar/onnx";
import { cachedDecoder, classLabels, type Decoder, type GenerateOptions, generate } from "@tensorar/sampler";
import * as tf from "@tensorflow/tfjs-core";
import * as ort from "onnxruntime-node";
import { measurePair } from "../lib/measure";
import { costRow, type Row, rateRow } from "../lib/row";
import { timingWeights } from "../lib/weights";
import type { Model } from "./gpt-decoder";

/** Positions of an image in one step. */
const PARALLEL = [4, 8, 16] as const;

/** A step of several positions of each image, of which Jacobi decoding commits some, against a step of one. */
export async function* severalPositions(gpt: Model["backbone"]): AsyncGenerator<Row> {
  const model = attachTensorAR(gpt, { windowSize: 1 });
  const params = timingWeights(model.shapes);
  const { decode, decodePositions } = modelPrograms(model, params);
  const options = { runtime: ort, threads: 2, fuse: "cpu" } as const;
  const [one, several] = [await compileProgram(decode, options), await compileProgram(decodePositions, options)];
  tf.dispose(params);
  const { layers, heads, headDim } = gpt.cache;
  const [R, S] = [2, 128];
  const int = (data: Int32Array, ...shape: number[]) => ({ dtype: "int32", shape, data }) as const;
  const float = (...shape: number[]) => ({
    ...({ dtype: "float32", shape } as const),
    data: new Float32Array(shape.reduce((product, size) => product * size, 1)),
  });
  const each = Array.from({ length: layers }, () => float(R, heads, S, headDim));
  const past = { condition: int(new Int32Array(R), R), mask: float(R, S), keys: each, values: each };
  for (const L of PARALLEL) {
    const positions = int(
      Int32Array.from({ length: R * L }, (_, i) => S + (i % L)),
      R,
      L,
    );
    const windows = int(new Int32Array(R * L), R, L, 1);
    const { a, b } = await measurePair(
      () => several({ ...past, windows, positions }),
      () => one({ ...past, window: int(new Int32Array(R), R, 1), position: int(Int32Array.of(S), 1) }),
      { warmup: 2, runs: 9 },
    );
    yield costRow(`step of ${L} positions, GPT-B, batch 2 (peer: one position)`, a, "ms", { peer: b });
  }
  await Promise.all([one.dispose(), several.dispose()]);
}

/** Images of the trained emoji models by Jacobi decoding, against one position a step; and how many tokens a step fixes. */
export async function* jacobiDecoding(): AsyncGenerator<Row> {
  for (const name of ["base", "tensorar"] as const) {
    const { decoder, classes, dispose } = await openEmoji(name);
    for (const batch of [1, 16])
      for (const parallel of PARALLEL) {
        const images = await timeImages(decoder, classes, batch, parallel);
        const what = `emoji ${name}, batch ${batch}, ${parallel} positions a step`;
        yield costRow(`batch of images, ${what} (peer: one)`, images.jacobi, "ms", { peer: images.sequential });
        yield rateRow(`tokens a step, ${what}`, images.tokensPerStep, "tokens", { limit: parallel });
      }
    await dispose();
  }
}

async function openEmoji(name: string) {
  const folder = await loadModel(fileURLToPath(new URL(`../../packages/weights-emoji/${name}`, import.meta.url)));
  const { windowSize, backbone } = folder.model;
  const { tokens, vocabSize, cache, unconditionalClass } = backbone;
  const params = toParams(folder.tensors);
  const { decode, decodePositions } = modelPrograms(folder.model, params);
  const options = { runtime: ort, threads: 2, fuse: "cpu" } as const;
  const [run, runPositions] = [await compileProgram(decode, options), await compileProgram(decodePositions, options)];
  tf.dispose(params);
  const conditioning = classLabels(unconditionalClass);
  return {
    decoder: cachedDecoder({ tokens, windowSize, vocabSize, cache, conditioning, run, runPositions }),
    classes: folder.classes.length,
    dispose: () => Promise.all([run.dispose(), runPositions.dispose()]),
  };
}

/** Guided images, without drafts as inputs, as in the model's base. */
async function timeImages(decoder: Decoder, classes: number, batch: number, parallel: number) {
  let [made, steps, next] = [0, 0, 0];
  const options = { seed: 1, draws: "position", drafts: { kind: "noise" } } as const;
  const images = async (more: Partial<GenerateOptions>) => {
    const conditions = Array.from({ length: batch }, (_, i) => (next + i) % classes);
    const guidance = { kind: "constant", scale: 2 } as const;
    return finished(generate(decoder, { ...options, ...more, conditions, firstIndex: next, guidance }));
  };
  const jacobi = async () => {
    const generated = await images({ parallel });
    steps += generated.steps.reduce((sum, own) => sum + own, 0);
    made += batch;
    next += batch;
  };
  const { a, b } = await measurePair(jacobi, () => images({}), { warmup: 1, runs: batch === 1 ? 32 : 5 });
  return { jacobi: a, sequential: b, tokensPerStep: (made * decoder.tokens) / steps };
}

/** What a generator returns at its end. */
async function finished<Result>(loop: AsyncGenerator<unknown, Result>): Promise<Result> {
  let event = await loop.next();
  while (!event.done) event = await loop.next();
  return event.value;
}
