import { fileURLToPath } from "node:url";
import { attachTensorAR, packRows } from "@tensorar/model";
import { loadModel, modelOf } from "@tensorar/model/node";
import { compile } from "@tensorar/onnx";
import { cachedDecoder, classLabels, generate, type StepOutputs, speculate } from "@tensorar/sampler";
import * as tf from "@tensorflow/tfjs-core";
import * as ort from "onnxruntime-node";
import { measurePair } from "../lib/measure";
import { costRow, type Row, rateRow } from "../lib/row";
import { timingWeights } from "../lib/weights";
import type { Model } from "./gpt-decoder";

/** Sizes of the calls of a model's function of several slots. */
function slotSpecs(model: Model) {
  const { layers, heads, headDim } = model.backbone.cache;
  const each = <Value>(value: Value): Value[] => Array.from({ length: layers }, () => value);
  return {
    condition: { dtype: "int32", shape: ["batch"] },
    windows: { dtype: "int32", shape: ["batch", "new", model.windowSize] },
    positions: { dtype: "int32", shape: ["new"] },
    mask: { dtype: "float32", shape: ["batch", "slots"] },
    keys: each({ dtype: "float32", shape: ["batch", heads, "slots", headDim] } as const),
    values: each({ dtype: "float32", shape: ["batch", heads, "slots", headDim] } as const),
  } as const;
}

/** A step of four slots, of which speculative sampling keeps some, against a step of one. */
export async function lookingAhead(gpt: Model["backbone"]): Promise<Row> {
  const model = attachTensorAR(gpt, { windowSize: 4 });
  const params = timingWeights(model.shapes);
  const { layers, heads, headDim } = gpt.cache;
  const [R, S, k] = [2, 128, model.windowSize];
  const each = <Value>(value: Value): Value[] => Array.from({ length: layers }, () => value);
  const run = await compile((inputs) => packRows(model.decodeSlots(params, inputs)), slotSpecs(model), {
    ...{ runtime: ort, weights: params, threads: 2 },
  });
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
    () => run(four as never),
    () => run(one as never),
    { warmup: 2, runs: 9 },
  );
  await run.dispose();
  return costRow("four slots in a step, TensorAR k = 4 on GPT-B, batch 2 (peer: one slot)", a, "ms", { peer: b });
}

/** One image of the trained emoji model with drafts as proposals, against one token a step; and how many they bring a step. */
export async function* speculating(): AsyncGenerator<Row> {
  const folder = await loadModel(fileURLToPath(new URL("../../packages/weights-emoji/tensorar", import.meta.url)));
  const model = modelOf(folder) as unknown as Model;
  const { tokens, vocabSize, cache, nullCondition } = model.backbone;
  const params = Object.fromEntries(
    Object.entries(folder.tensors).map(([name, { data, shape }]) => [
      name,
      tf.tensor(data as Float32Array, [...shape]),
    ]),
  );
  const run = await compile((inputs) => packRows(model.decodeSlots(params, inputs)), slotSpecs(model), {
    ...{ runtime: ort, weights: params, threads: 2 },
  });
  tf.dispose(params);
  const { windowSize } = model;
  const decoder = cachedDecoder({
    ...{ tokens, windowSize, vocabSize, cache, conditioning: classLabels(nullCondition) },
    runSlots: async (inputs) => (await run(inputs as never)) as unknown as StepOutputs,
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
