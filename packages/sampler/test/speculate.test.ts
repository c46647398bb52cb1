import "@tensorflow/tfjs";
import { attachTensorAR, type LlamaGenConfig, llamaGen } from "@tensorar/model";
import { createStream } from "@tensorar/noise";
import * as tf from "@tensorflow/tfjs-core";
import { afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { classLabels, type Decoder, type Guidance, generate, type SpeculateOptions, speculate } from "../src";
import { eagerDecoder } from "./eager-decoder";

beforeAll(async () => {
  await tf.setBackend("cpu");
});
beforeEach(() => tf.engine().startScope());
afterEach(() => tf.engine().endScope());

async function finish<S, R>(loop: AsyncGenerator<S, R>): Promise<{ result: R; yielded: S[] }> {
  const yielded: S[] = [];
  for (;;) {
    const event = await loop.next();
    if (event.done) return { result: event.value, yielded };
    yielded.push(event.value);
  }
}

/**
 * A model whose logits are a fixed function of the tokens before: row 0 is the next token's distribution, further rows are
 * guesses at later ones that know nothing of the tokens between, and are wrong by as much as `error`.
 */
function tableDecoder(T: number, V: number, k: number, error: number): Decoder {
  const logit = (prefix: readonly number[], row: number, code: number): number =>
    2 * createStream(row === 0 ? 1 : 2 + row, `logits/${prefix.join("")}`, code).normal() * (row === 0 ? 1 : error);
  const rowsAfter = (prefix: readonly number[]): number[] =>
    Array.from({ length: k * V }, (_, at) => logit(prefix, Math.floor(at / V), at % V));
  return {
    tokens: T,
    windowSize: k,
    vocabSize: V,
    unconditional: () => 0,
    start() {
      let prefix: number[] = [];
      let ahead: number[] = [];
      return {
        step: async () => Float32Array.from(rowsAfter(prefix)),
        async lookAhead(windows) {
          const entries = Array.from({ length: windows.length / k }, (_, slot) => windows[slot * k]!);
          ahead = [...prefix, ...entries];
          return Float32Array.from(entries.flatMap((_, slot) => rowsAfter(ahead.slice(0, prefix.length + slot + 1))));
        },
        keep(count) {
          prefix = ahead.slice(0, prefix.length + count);
        },
      };
    },
  };
}

const plain = { temperature: 1, topK: 0, topP: 1, guidance: { kind: "constant", scale: 1 } as Guidance };

describe("the distribution is that of one token a step", () => {
  const [T, V, k] = [4, 3, 3];

  /** Probability of every sequence, from the logits that the decoder gives for prefixes, one at a time. */
  async function enumerate(decoder: Decoder, { temperature }: { temperature: number }): Promise<Map<string, number>> {
    const all = new Map<string, number>();
    const extend = async (prefix: number[], probability: number): Promise<void> => {
      if (prefix.length === T) return void all.set(prefix.join(""), probability);
      const session = decoder.start([0]);
      let logits = await session.step(new Int32Array(k));
      for (const code of prefix) {
        logits = await session.lookAhead!(Int32Array.of(code, -1, -1));
        session.keep!(1);
      }
      const weights = Array.from(logits.subarray(0, V), (logit) => Math.exp(logit / temperature));
      const total = weights.reduce((a, b) => a + b);
      for (const [code, weight] of weights.entries()) await extend([...prefix, code], (probability * weight) / total);
    };
    await extend([], 1);
    return all;
  }

  test.each([
    { what: "good proposals", error: 0.3, lookahead: 3, draftTemperature: 1, temperature: 1 },
    { what: "proposals that are mostly wrong", error: 3, lookahead: 3, draftTemperature: 1, temperature: 1 },
    {
      what: "other temperatures of target and drafts",
      error: 1,
      lookahead: 2,
      draftTemperature: 0.5,
      temperature: 1.5,
    },
  ])(
    "$what: χ² against all sequences",
    async ({ error, lookahead, draftTemperature, temperature }) => {
      const decoder = tableDecoder(T, V, k, error);
      const expected = await enumerate(decoder, { temperature });
      const N = 6000;
      const counts = new Map<string, number>();
      for (let index = 0; index < N; index++) {
        const options = { ...plain, temperature, condition: 0, seed: 11, index, lookahead, draftTemperature };
        const { result } = await finish(speculate(decoder, options));
        const key = [...result.codes].join("");
        counts.set(key, (counts.get(key) ?? 0) + 1);
      }
      // Sequences that are expected fewer than 5 times count together, as χ² asks for.
      let [statistic, cells, rare, rareCount] = [0, 0, 0, 0];
      for (const [key, probability] of expected) {
        const [mean, count] = [N * probability, counts.get(key) ?? 0];
        if (mean < 5) [rare, rareCount] = [rare + mean, rareCount + count];
        else [statistic, cells] = [statistic + (count - mean) ** 2 / mean, cells + 1];
      }
      if (rare > 0) [statistic, cells] = [statistic + (rareCount - rare) ** 2 / rare, cells + 1];
      const freedom = cells - 1;
      // Five standard deviations above its mean: a chance of about one in a million, and the seed is fixed.
      expect(freedom).toBeGreaterThan(10);
      expect(statistic).toBeLessThan(freedom + 5 * Math.sqrt(2 * freedom));
    },
    60_000,
  );

  test("proposals that are right are always accepted, k tokens a step", async () => {
    const same: Decoder = {
      ...tableDecoder(7, V, k, 1),
      start: () => ({
        step: async () => row(1),
        lookAhead: async (windows) => row(windows.length / k),
        keep: () => undefined,
      }),
    };
    const row = (slots: number) => Float32Array.from({ length: slots * k * V }, (_, i) => i % V);
    const { result, yielded } = await finish(speculate(same, { ...plain, condition: 0, seed: 1, lookahead: 3 }));
    expect(result.steps).toBe(1 + 2);
    expect(yielded.map(({ position }) => position)).toEqual([0, 3, 6]);
  });
});

describe("a model with TensorAR", () => {
  const config: LlamaGenConfig = {
    model_type: "c2i",
    dim: 16,
    n_layer: 2,
    n_head: 2,
    multiple_of: 8,
    vocab_size: 9,
    block_size: 9,
    num_classes: 3,
    cls_token_num: 1,
    class_dropout_prob: 0.1,
  };
  const backbone = llamaGen(config);
  const model = attachTensorAR(backbone, { windowSize: 4 });
  const params = () =>
    Object.fromEntries(
      Object.entries(model.shapes).map(([name, shape]) => {
        const random = createStream(5, name);
        const size = shape.reduce((a, b) => a * b, 1);
        const data = Float32Array.from({ length: size }, () => (shape.length === 1 ? 1 : 0.35 * random.normal()));
        return [name, tf.tensor(data, [...shape])];
      }),
    );
  const conditioning = classLabels(backbone.nullCondition);

  test.each([1, 3])("greedy tokens are those of one step each without drafts, guidance %d", async (scale) => {
    const weights = params();
    const greedy = { ...plain, topK: 1, guidance: { kind: "constant", scale } as Guidance, seed: 3 };
    const stepwise = eagerDecoder(model, weights, conditioning);
    const ahead = eagerDecoder(model, weights, conditioning, { ahead: true });
    const { result: expected } = await finish(
      generate(stepwise, { ...greedy, conditions: [0, 1, 2], drafts: { kind: "noise" } }),
    );
    let fewest = Number.POSITIVE_INFINITY;
    for (const [index, condition] of [0, 1, 2].entries()) {
      const { result } = await finish(
        speculate(ahead, { ...greedy, condition, index, lookahead: 4, draftTemperature: 0.3 }),
      );
      expect([...result.codes]).toEqual([...expected.codes.subarray(index * 9, (index + 1) * 9)]);
      fewest = Math.min(fewest, result.steps);
    }
    expect(fewest).toBeLessThanOrEqual(9);
  });

  test("a decoder of several slots also takes one step at a time", async () => {
    const weights = params();
    const options = { ...plain, seed: 4, conditions: [0, 1], drafts: { kind: "raw" } as const };
    const [one, several] = await Promise.all(
      [false, true].map((ahead) => finish(generate(eagerDecoder(model, weights, conditioning, { ahead }), options))),
    );
    expect([...several!.result.codes]).toEqual([...one!.result.codes]);
  });

  test("what can't be done is refused", async () => {
    const options: SpeculateOptions = { ...plain, condition: 0, seed: 0, lookahead: 5 };
    const ahead = eagerDecoder(model, params(), conditioning, { ahead: true });
    await expect(finish(speculate(ahead, options))).rejects.toThrow(
      /lookahead 5 does not fit a window of 4; use 2 … 4/,
    );
    const stepwise = eagerDecoder(model, params(), conditioning);
    await expect(finish(speculate(stepwise, { ...options, lookahead: 2 }))).rejects.toThrow(/can't look ahead/);
    const signal = AbortSignal.abort();
    await expect(finish(speculate(ahead, { condition: 0, signal }))).rejects.toThrow(
      expect.objectContaining({ name: "AbortError" }),
    );
    const unknown = { condition: 0, guidance: { kind: "none" } as never };
    await expect(finish(speculate(ahead, unknown))).rejects.toThrow(/guidance kind "none" is unknown/);
  });

  test("by default, as with undefined settings, nothing is filtered and all of the window is proposed", async () => {
    const ahead = eagerDecoder(model, params(), conditioning, { ahead: true });
    const explicit = await finish(
      speculate(ahead, { ...plain, condition: 1, seed: 0, lookahead: 4, draftTemperature: 1 }),
    );
    const { result } = await finish(speculate(ahead, { condition: 1, topK: undefined, lookahead: undefined }));
    expect(result).toEqual(explicit.result);
    let last: { codes: Int32Array; steps: number } | undefined;
    for await (const step of speculate(ahead, { condition: 1 })) last = step;
    expect(last).toMatchObject(result);
  });
});
