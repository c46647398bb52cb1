import { BLANK, PAD } from "@tensorar/noise";
import { describe, expect, test } from "vitest";
import { type DraftPolicy, type Generated, type GenerateOptions, type GenerateStep, generate } from "../src";
import { knownDecoder } from "./known-decoder";

const shape = { tokens: 6, windowSize: 3, vocabSize: 8 };
/** Uneven logits that depend on all that a model may look at. */
const uneven = knownDecoder(shape, ({ condition, position, depth, code, window }) => {
  const seen = window.reduce((sum, entry, i) => sum + (entry + 2) * (i + 1), 0);
  return 2 * Math.sin(code * (condition + 1.3) + position + 0.7 * depth + seen);
});
const defaults = {
  seed: 5,
  temperature: 1,
  topK: 0,
  topP: 1,
  guidance: { kind: "constant", scale: 1 },
  drafts: { kind: "raw" },
} satisfies Partial<GenerateOptions>;

async function collect(loop: AsyncGenerator<GenerateStep, Generated>) {
  const steps: { position: number; codes: number[] }[] = [];
  for (;;) {
    const { done, value } = await loop.next();
    if (done) return { ...value, steps };
    steps.push({ position: value.position, codes: [...value.codes] });
  }
}
const run = (options: Partial<GenerateOptions> & Pick<GenerateOptions, "conditions">, decoder = uneven) =>
  collect(generate(decoder, { ...defaults, ...options }));
const { tokens: T, windowSize: k, vocabSize: V } = shape;

test("an image depends on the seed and its index, not on the batch it is made in", async () => {
  const conditions = Int32Array.of(0, 1, 2, 0, 1);
  for (const scale of [1, 2.5]) {
    const guidance = { kind: "constant", scale } as const;
    const whole = await run({ conditions, guidance, trace: true });
    const first = await run({ conditions: conditions.slice(0, 2), guidance, trace: true });
    const rest = await run({ conditions: conditions.slice(2), firstIndex: 2, guidance, trace: true });
    expect([...first.codes, ...rest.codes]).toEqual([...whole.codes]);
    expect([...first.trace!, ...rest.trace!]).toEqual([...whole.trace!]);
  }
  const other = await run({ conditions, seed: 6 });
  expect([...other.codes]).not.toEqual([...(await run({ conditions })).codes]);
});

test("requests of several users in one batch are the images that each would get alone", async () => {
  const decoder = knownDecoder(
    { tokens: 5, windowSize: 2, vocabSize: 6 },
    ({ condition, position, depth, code, window }) => Math.sin(condition * 3 + position + depth + code * window[0]!),
  );
  const common = { temperature: 1, topK: 0, topP: 1, drafts: { kind: "raw" } } as const;
  const finish = async (options: Pick<GenerateOptions, "conditions" | "seed" | "guidance" | "scales">) => {
    const loop = generate(decoder, { ...common, ...options });
    for (;;) {
      const { done, value } = await loop.next();
      if (done) return [...value.codes];
    }
  };
  const [conditions, seeds, scales] = [[1, 2, 3], [7, 7, 9], [1, 4, 1.5]]; // biome-ignore format: one row
  const ramp = { kind: "power-cosine", scale: 3, power: 1 } as const;
  const together = await finish({ conditions: conditions!, seed: seeds!, scales: scales!, guidance: ramp });
  for (const [i, condition] of conditions!.entries()) {
    const guidance = { ...ramp, scale: scales![i]! };
    const alone = await finish({ conditions: [condition], seed: seeds![i]!, guidance });
    expect(together.slice(5 * i, 5 * i + 5)).toEqual(alone);
  }
  await expect(finish({ conditions: [1, 2], seed: [1], guidance: ramp })).rejects.toThrow(
    /1 values of seed for 2 images/,
  );
  const negative = finish({ conditions: [1, 2], seed: 1, scales: [1, -2], guidance: ramp });
  await expect(negative).rejects.toThrow(/guidance scale -2 is out of range/);
});

test("each step makes one position final and shows the newest drafts after it", async () => {
  const { steps, codes } = await run({ conditions: Int32Array.of(1, 2) });
  expect(steps.map(({ position }) => position)).toEqual([0, 1, 2, 3, 4, 5]);
  for (const { position, codes: shown } of steps) {
    for (const row of [0, 1]) {
      for (let token = 0; token < T; token++) {
        const code = shown[row * T + token]!;
        if (token <= position) expect(code).toBe(codes[row * T + token]);
        else if (token < position + k) expect(code).toBeGreaterThanOrEqual(0);
        else expect(code).toBe(PAD);
      }
    }
  }
});

test("the trace holds every draft from first to final, and what is fed back is the last of each", async () => {
  const decoder = knownDecoder(shape, ({ position, depth, code }) => (code === (3 * position + 2 * depth) % V ? 9 : 0));
  const { codes, trace } = await run(
    { conditions: Int32Array.of(4), topK: 1, drafts: { kind: "argmax" }, trace: true },
    decoder,
  );
  for (let token = 0; token < T; token++) {
    for (let draft = 0; draft < k; draft++) {
      const depth = k - 1 - draft; // entry of the tensor that this draft came from
      const position = token - depth; // step that made it
      expect(trace![token * k + draft]).toBe(position < 0 ? PAD : (3 * position + 2 * depth) % V);
    }
    expect(codes[token]).toBe(trace![token * k + k - 1]);
  }
  for (let step = 1; step < T; step++) {
    const expected = [0, 1, 2].map((entry) => (step - 1 + entry < T ? (3 * (step - 1) + 2 * entry) % V : PAD));
    expect([...decoder.fed[step]!]).toEqual(expected);
  }
});

test("guidance feeds the unconditional twin the same window", async () => {
  const decoder = knownDecoder(shape, ({ code, position }) => Math.sin(code * 3 + position));
  await run({ conditions: Int32Array.of(1, 2), guidance: { kind: "constant", scale: 2 } }, decoder);
  for (const windows of decoder.fed) {
    expect([...windows.subarray(2 * k)]).toEqual([...windows.subarray(0, 2 * k)]);
  }
});

describe("draft policies", () => {
  /** How often what is fed differs from the draft that was sampled, by entry; and how often it holds each code. */
  async function fedBack(drafts: DraftPolicy) {
    const images = 4000;
    const decoder = knownDecoder({ ...shape, tokens: 3 }, ({ depth, code }) => (code === 1 + depth ? 30 : 0));
    await run({ conditions: new Int32Array(images), drafts }, decoder);
    const changed = [0, 0, 0];
    const counts = new Float64Array(V);
    const windows = decoder.fed[1]!;
    for (let i = 0; i < windows.length; i++) {
      const entry = i % k;
      if (windows[i] !== 1 + entry) changed[entry]!++;
      if (entry === 2) counts[windows[i]!]!++;
    }
    return { shares: changed.map((count) => count / images), counts, images };
  }
  /** Within 5 standard deviations of a binomial share. */
  const near = (share: number, p: number, n: number) =>
    expect(Math.abs(share - p)).toBeLessThanOrEqual(5 * Math.sqrt((p * (1 - p)) / n));

  test("raw and argmax feed back what was drafted", async () => {
    expect((await fedBack({ kind: "raw" })).shares).toEqual([0, 0, 0]);
    expect((await fedBack({ kind: "argmax" })).shares).toEqual([0, 0, 0]);
  });

  test("renoise replaces entry j with probability β(j), by any code", async () => {
    const rates = [0, 0.3, 0.8];
    const { shares, images } = await fedBack({ kind: "renoise", rates });
    for (const [entry, rate] of rates.entries()) near(shares[entry]!, rate * (1 - 1 / V), images);
  });

  test("noise replaces all drafts by uniform codes and leaves the final token", async () => {
    const { shares, counts, images } = await fedBack({ kind: "noise" });
    expect(shares[0]).toBe(0);
    const expected = images / V;
    const chiSquare = counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
    expect(chiSquare).toBeLessThan(29.9); // 7 degrees of freedom, p = 10⁻⁴
  });

  test("blank feeds back blanks in place of all drafts, and leaves the final token", async () => {
    expect((await fedBack({ kind: "blank" })).shares).toEqual([0, 1, 1]);
    const decoder = knownDecoder({ ...shape, tokens: 3 }, () => 0);
    await run({ conditions: [0], drafts: { kind: "blank" } }, decoder);
    expect([...decoder.fed[1]!.subarray(1)]).toEqual([BLANK, BLANK]);
  });

  test("the trace keeps the draft, not the noise that was fed", async () => {
    const decoder = knownDecoder(shape, ({ depth, code }) => (code === 1 + depth ? 30 : 0));
    const { trace } = await run({ conditions: Int32Array.of(0), drafts: { kind: "noise" }, trace: true }, decoder);
    expect([...trace!.subarray(3 * k, 4 * k)]).toEqual([3, 2, 1]);
  });

  test("a temperature flattens the drafts and leaves the final token's distribution alone", async () => {
    const decoder = () => knownDecoder({ ...shape, tokens: 3 }, ({ code }) => (code === 0 ? 4 : 0));
    const share = async (drafts: DraftPolicy) => {
      const images = 3000;
      const { trace } = await run({ conditions: new Int32Array(images), drafts, trace: true }, decoder());
      const count = (index: number) =>
        Array.from({ length: images }, (_, i) => trace![(i * 3 + 1) * k + index]!).filter((code) => code === 0).length;
      return { draft: count(1) / images, final: count(2) / images, images };
    };
    const probability = (temperature: number) => 1 / (1 + (V - 1) * Math.exp(-4 / temperature));
    const { draft, final, images } = await share({ kind: "raw", temperature: 3 });
    near(draft, probability(3), images);
    near(final, probability(1), images);
  });
});

test("leave-one-out lowers a final token's logits at the codes of its own views, by λ · w_j each", async () => {
  const rates = [0, 0.4, 0.8];
  const weights = rates.slice(1).map((rate) => Math.log((1 - rate + rate / V) / (rate / V)));
  // Each step drafts 5 everywhere and is shown it; a final token prefers 5 by less than its views weigh together.
  const codesOf = async (lead: number, strength: number) => {
    const decoder = knownDecoder(shape, ({ depth, code }) =>
      code === 5 ? (depth === 0 ? lead : 40) : code === 2 ? 0 : -60,
    );
    const options = { conditions: [0], topK: 1, leaveOneOut: { strength, rates }, trace: true };
    const { codes, trace } = await run(options, decoder);
    expect([...trace!.subarray(2 * k, 2 * k + 2)]).toEqual([5, 5]);
    return [...codes];
  };
  const [w1, w2] = weights as [number, number];
  // Token 0 has no view, token 1 one of depth 1, the others one of each depth.
  expect(await codesOf(w1 + w2 + 0.01, 1)).toEqual([5, 5, 5, 5, 5, 5]);
  expect(await codesOf(w1 + w2 - 0.01, 1)).toEqual([5, 5, 2, 2, 2, 2]);
  expect(await codesOf(w1 - 0.01, 1)).toEqual([5, 2, 2, 2, 2, 2]);
  expect(await codesOf((w1 + w2) / 2 + 0.01, 0.5)).toEqual([5, 5, 5, 5, 5, 5]);
  expect(await codesOf((w1 + w2) / 2 - 0.01, 0.5)).toEqual([5, 5, 2, 2, 2, 2]);
  expect(await codesOf(0.01, 0)).toEqual([5, 5, 5, 5, 5, 5]);
});

test("explicit evidence raises a final token's logits at the codes of its own views, by (1 - λ) · s_j each", async () => {
  const evidence = [3, 1.5];
  const rates = [0, 0.4, 0.8];
  // Each step drafts 5 everywhere and is shown it; a final token prefers 2 by less than its views weigh together.
  const codesOf = async (lead: number, strength: number) => {
    const decoder = knownDecoder(shape, ({ depth, code }) =>
      code === 5 ? (depth === 0 ? 0 : 40) : code === 2 ? lead : -60,
    );
    const options = { conditions: [0], topK: 1, leaveOneOut: { strength, rates, evidence } };
    return [...(await run(options, decoder)).codes];
  };
  // Token 0 has no view, token 1 one of depth 1, the others one of each depth.
  expect(await codesOf(2.9, 0)).toEqual([2, 5, 5, 5, 5, 5]);
  expect(await codesOf(4.4, 0)).toEqual([2, 2, 5, 5, 5, 5]);
  expect(await codesOf(4.6, 0)).toEqual([2, 2, 2, 2, 2, 2]);
  expect(await codesOf(2.2, 0.5)).toEqual([2, 2, 5, 5, 5, 5]);
  expect(await codesOf(0.1, 1)).toEqual([2, 2, 2, 2, 2, 2]);
});

test("abort stops between two steps and throws the signal's reason", async () => {
  const controller = new AbortController();
  const loop = generate(uneven, { conditions: Int32Array.of(0), signal: controller.signal });
  await loop.next();
  controller.abort();
  await expect(loop.next()).rejects.toSatisfy((error) => error === controller.signal.reason);
  expect(controller.signal.reason).toMatchObject({ name: "AbortError" });
  const reason = new RangeError("of the caller's own");
  const aborted = generate(uneven, { conditions: [0], signal: AbortSignal.abort(reason) });
  await expect(aborted.next()).rejects.toBe(reason);
});

test("the last step of a for await loop holds the codes and the trace that are returned", async () => {
  const options = { conditions: Int32Array.of(1, 2), seed: 5, trace: true } as const;
  const returned = await collect(generate(uneven, options));
  let last: { codes: Int32Array; trace: Int32Array } | undefined;
  for await (const step of generate(uneven, options)) last = step;
  expect([...last!.codes]).toEqual([...returned.codes]);
  expect([...last!.trace]).toEqual([...returned.trace!]);
});

test("the probabilities are those of the traced codes, after guidance, temperature and filters", async () => {
  // Logits that depend on code and depth alone, so that each probability is a formula.
  const decoder = knownDecoder(shape, ({ depth, code, condition }) => (condition === 99 ? 0 : Math.cos(code + depth)));
  const guidance = { kind: "constant", scale: 2 } as const;
  const softmax = (depth: number, temperature: number, kept: number) => {
    const weights = Array.from({ length: V }, (_, code) => Math.exp((2 * Math.cos(code + depth)) / temperature));
    const least = [...weights].sort((a, b) => b - a)[kept - 1]!;
    const filtered = weights.map((weight) => (weight >= least ? weight : 0));
    return filtered.map((weight) => weight / filtered.reduce((a, b) => a + b));
  };
  const drafts = { kind: "raw", temperature: [0.5, 3] } as const;
  for (const draws of ["step", "position"] as const) {
    const options = { conditions: [0, 0], guidance, temperature: 0.7, topK: 3, drafts, draws, trace: true };
    const { trace, probabilities } = await run({ ...options, probabilities: true }, decoder);
    expect(probabilities).toHaveLength(2 * T * k);
    for (const [at, probability] of probabilities!.entries()) {
      const [code, depth] = [trace![at]!, k - 1 - (at % k)];
      const expected =
        code === PAD
          ? 0
          : softmax(depth, depth === 0 ? 0.7 : drafts.temperature[depth - 1]!, depth === 0 ? 3 : V)[code]!;
      expect(probability).toBeCloseTo(expected, 6); // float32 logits
    }
    expect((await run(options, decoder)).probabilities).toBeUndefined();
  }
});

test("an argmax draft has the probability that the model gives it", async () => {
  const decoder = knownDecoder(shape, ({ code }) => Math.log(code === 3 ? 7 : 1)); // 7 of 7 + 7
  const { probabilities } = await run(
    { conditions: [0], drafts: { kind: "argmax" }, trace: true, probabilities: true },
    decoder,
  );
  expect(probabilities![k]).toBe(0); // of token 1, which had no draft of depth 2
  expect(probabilities![2 * k]).toBeCloseTo(0.5, 6);
});

test("settings left out or undefined are the defaults", async () => {
  const conditions = Int32Array.of(1, 2);
  const expected = await run({ conditions, seed: 0 });
  const nothing = { seed: undefined, guidance: undefined, temperature: undefined, topK: undefined, topP: undefined };
  const others = { drafts: undefined, trace: undefined, signal: undefined, scales: undefined, firstIndex: undefined };
  for (const options of [{}, nothing, { ...nothing, ...others }, { drafts: { kind: "raw", temperature: undefined } }]) {
    const { codes } = await collect(generate(uneven, { conditions, ...options } as GenerateOptions));
    expect([...codes]).toEqual([...expected.codes]);
  }
});

describe("what does not fit is refused", () => {
  const conditions = Int32Array.of(0);
  test.each<[Partial<GenerateOptions>, RegExp]>([
    [{ conditions: new Int32Array(0) }, /no conditions/],
    [{ firstIndex: -1 }, /firstIndex -1/],
    [{ temperature: 0 }, /temperature 0/],
    [{ temperature: Number.NaN }, /temperature NaN/],
    [{ topK: 1.5 }, /topK 1.5/],
    [{ topP: 0 }, /topP 0/],
    [{ conditions: undefined as never }, /no conditions/],
    [
      { guidance: { kind: "linear", scale: 2 } as never },
      /kind "linear" is unknown; use "constant", "interval", "power/,
    ],
    [{ guidance: 3 as never }, /guidance kind undefined is unknown/],
    [{ drafts: { kind: "toString" } as never }, /kind "toString" are unknown; use "raw", "renoise", "argmax", "noise"/],
    [{ drafts: "raw" as never }, /drafts of kind undefined are unknown/],
    [{ drafts: { kind: "renoise" } as never }, /0 numbers for windows of 3/],
    [{ drafts: { kind: "raw", temperature: 0 } }, /draft temperature 0/],
    [{ drafts: { kind: "renoise", rates: [0, 1] } }, /2 numbers for windows of 3/],
    [
      { drafts: { kind: "raw", temperature: [1] } },
      /1 numbers for windows of 3; give one, or one for each depth 1 … 2/,
    ],
    [{ drafts: { kind: "raw", temperature: [1, -1] } }, /draft temperature -1 is out of range/],
    [{ leaveOneOut: { strength: 1.5, rates: [0, 0.5, 0.5] } }, /strength 1.5 is out of range; use 0 for none … 1/],
    [{ leaveOneOut: { strength: 1, rates: [0, 0.5] } }, /2 rates for windows of 3/],
    [{ leaveOneOut: { strength: 0, rates: [], evidence: [1] } }, /evidence \[1\] for windows of 3; pass 2 finite/],
    [
      { leaveOneOut: { strength: 1, rates: [0, 0, 0.5] } },
      /β\(1\) = 0; a view that is never noised has no finite weight/,
    ],
    [{ drafts: { kind: "renoise", rates: [0, 1, 1.5] } }, /β\(2\) = 1.5/],
  ])("%o", async (options, message) => {
    await expect(run({ conditions, ...options })).rejects.toThrow(message);
  });

  test("a window larger than the image", async () => {
    const decoder = knownDecoder({ tokens: 2, windowSize: 3, vocabSize: 4 }, () => 0);
    await expect(run({ conditions }, decoder)).rejects.toThrow(/window 3 does not fit an image of 2 tokens/);
  });

  test("a model that returns NaN, with image and token", async () => {
    const decoder = knownDecoder(shape, ({ position }) => (position === 2 ? Number.NaN : 0));
    await expect(run({ conditions, firstIndex: 7 }, decoder)).rejects.toThrow(/image 7, token 2/);
  });
});
