import { fileURLToPath } from "node:url";
import { attachTensorAR, modelPrograms, toParams } from "@tensorar/model";
import { loadModel } from "@tensorar/model/node";
import { compileProgram } from "@tensorar/onnx";
import { cachedDecoder, classLabels, generate, speculate } from "@tensorar/sampler";
import * as tf from "@tensorflow/tfjs-core";
import * as ort from "onnxruntime-node";
import { measurePair } from "../lib/measure";
import { costRow, type Row, rateRow } from "../lib/row";
import { timingWeights } from "../lib/weights";
import type { Model } from "./gpt-decoder";

/** A step of four slots, of which speculative sampling keeps some, against a step of one. */
export async function lookingAhead(gpt: Model["backbone"]): Promise<Row> {
  const model = attachTensorAR(gpt, { windowSize: 4 });
  const params = timingWeights(model.shapes);
  const { layers, heads, headDim } = gpt.cache;
  const [R, S, k] = [2, 128, model.windowSize];
  const each = <Value>(value: Value): Value[] => Array.from({ length: layers }, () => value);
  const run = await compileProgram(modelPrograms(model, params).decodeSlots, { runtime: ort, threads: 2 });
  tf.dispose(params);
  const float = (...shape: number[]) => ({
    ...({ dtype: "float32", shape } as const),
    data: new Float32Array(shape.reduce((product, size) => product * size, 1)),
  });
  const int = (data: Int32Array, ...shape: number[]) => ({ dtype: "int32", shape, data }) as const;
  const feeds = (L: number) => ({
    condition: int(new Int32Array(R), R),
    windows: int(new Int32Array(R * L * k), R, L, k),
    positions: int(
      Int32Array.from({ length: L }, (_, i) => S + i),
      L,
    ),
    mask: float(R, S),
    keys: each(float(R, heads, S, headDim)),
    values: each(float(R, heads, S, headDim)),
  });
  const [one, four] = [feeds(1), feeds(4)];
  const { a, b } = await measurePair(
    () => run(four),
    () => run(one),
    { warmup: 2, runs: 9 },
  );
  await run.dispose();
  return costRow("four slots in a step, TensorAR k = 4 on GPT-B, batch 2 (peer: one slot)", a, "ms", { peer: b });
}

/** One image of the trained emoji model with drafts as proposals, against one token a step; and how many they bring a step. */
export async function* speculating(): AsyncGenerator<Row> {
  const folder = await loadModel(fileURLToPath(new URL("../../packages/weights-emoji/tensorar", import.meta.url)));
  const { model } = folder;
  const { tokens, vocabSize, cache, nullCondition } = model.backbone;
  const params = toParams(folder.tensors);
  const run = await compileProgram(modelPrograms(model, params).decodeSlots, { runtime: ort, threads: 2 });
  tf.dispose(params);
  const { windowSize } = model;
  const decoder = cachedDecoder({
    tokens,
    windowSize,
    vocabSize,
    cache,
    conditioning: classLabels(nullCondition),
    runSlots: run,
  });
  const sampling = { temperature: 1, topK: 0, topP: 1, guidance: { kind: "constant", scale: 2 } } as const;
  let [image, steps] = [0, 0];
  const ahead = async () => {
    const options = { ...sampling, condition: image % folder.classes.length, seed: 1, index: image++ };
    steps += (await finished(speculate(decoder, { ...options, lookahead: windowSize }))).steps;
  };
  const oneByOne = () =>
    finished(
      generate(decoder, {
        ...sampling,
        conditions: [image % folder.classes.length],
        seed: 1,
        drafts: { kind: "noise" },
      }),
    );
  const { a, b } = await measurePair(ahead, oneByOne, { warmup: 4, runs: 32 });
  await run.dispose();
  yield costRow("image of the emoji model, looking ahead (peer: one token a step)", a, "ms", { peer: b });
  yield rateRow("tokens a step, looking ahead", (image * tokens) / steps, "tokens", { limit: windowSize });
}

/** What a generator returns at its end. */
async function finished<Result>(loop: AsyncGenerator<unknown, Result>): Promise<Result> {
  let event = await loop.next();
  while (!event.done) event = await loop.next();
  return event.value;
}
