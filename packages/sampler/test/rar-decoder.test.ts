import "@tensorflow/tfjs";
import { attachTensorAR, type RarConfig, rar } from "@tensorar/model";
import * as tf from "@tensorflow/tfjs-core";
import { afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type ReferenceCase, referenceCases, referenceRoot } from "../../model/test/reference";
import { cachedDecoder, classLabels, type Decoder, type Guidance, generate, type TensorData } from "../src";

beforeAll(async () => {
  await tf.setBackend("cpu");
});
beforeEach(() => tf.engine().startScope());
afterEach(() => tf.engine().endScope());

const toTensor = ({ data, shape, dtype }: TensorData) => tf.tensor(data.slice(), [...shape], dtype);
const toData = (tensor: tf.Tensor): TensorData => ({
  dtype: tensor.dtype as "float32",
  shape: tensor.shape,
  data: tensor.dataSync<"float32">(),
});

interface Run {
  readonly guidance_scale: number;
  readonly randomize_temperature: number;
  readonly guidance_scale_pow: number;
  readonly output: string;
}

/** Its two condition slots in one prefill, then a slot at a time. */
function decoderOf(fixture: ReferenceCase): Decoder {
  const backbone = rar(fixture.json.config as unknown as RarConfig);
  const model = attachTensorAR(backbone, { windowSize: 1 });
  const params = fixture.params();
  return cachedDecoder({
    tokens: backbone.tokens,
    windowSize: 1,
    vocabSize: backbone.vocabSize,
    cache: backbone.cache,
    conditioning: classLabels(backbone.nullCondition),
    async prefill({ condition }) {
      const outputs = model.prefill(params, { condition: toTensor(condition as TensorData) });
      const { logits, keys, values, mask } = outputs;
      return { logits: toData(logits), keys: keys.map(toData), values: values.map(toData), mask: toData(mask) };
    },
    async run({ condition, window, position, mask, keys, values }) {
      const outputs = model.decode(params, {
        condition: toTensor(condition as TensorData),
        window: toTensor(window),
        position: toTensor(position),
        mask: toTensor(mask),
        keys: keys.map(toTensor),
        values: values.map(toTensor),
      });
      return { logits: toData(outputs.logits), keys: outputs.keys.map(toData), values: outputs.values.map(toData) };
    },
  });
}

const cases = referenceCases("modeling/rar.py").filter(({ json }) => json.generate !== undefined);
if (cases.length === 0) test.skip(`no RAR under ${referenceRoot}; set TENSORAR_REFERENCE`, () => {});

describe.each(cases)("$name", (fixture) => {
  const runs = fixture.json.generate as unknown as Run[];
  test.each(runs)("greedy, guidance $guidance_scale, power $guidance_scale_pow", async (run) => {
    const { guidance_scale: scale, guidance_scale_pow: power } = run;
    const guidance: Guidance = scale > 0 ? { kind: "power-cosine", scale, power } : { kind: "constant", scale: 1 };
    const conditions = fixture.tensor("classes").data as Int32Array;
    const options = { seed: 0, temperature: run.randomize_temperature, topK: 1, topP: 1, guidance };
    const loop = generate(decoderOf(fixture), { ...options, conditions, drafts: { kind: "raw" } });
    let result = await loop.next();
    while (!result.done) result = await loop.next();
    expect([...result.value.codes]).toEqual([...(fixture.tensor(run.output).data as Int32Array)]);
  });
});
