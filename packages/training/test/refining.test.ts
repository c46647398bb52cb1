import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadCodes } from "@tensorar/data";
import { EVIDENCE, type LoadedModel } from "@tensorar/model";
import { loadModel } from "@tensorar/model/node";
import { viewWeights } from "@tensorar/noise";
import { afterAll, beforeAll, expect, test } from "vitest";
import { writeTinyCodes } from "../../data/test/tiny-codes";
import {
  classConditions,
  type FinetuneOptions,
  finetuneTask,
  pretrainTask,
  readLog,
  type TensorAROptions,
  train,
} from "../src/index";
import { learningRateAt } from "../src/run/learning-rate";

let dir: string;
let base: LoadedModel;

const SIZES = { dim: 16, n_layer: 1, n_head: 2, multiple_of: 8 };
const RUN = { warmupSteps: 0, logEvery: 1, checkpointEvery: 100, threads: 1, learningRate: 0.01 };
const EXPLICIT = {
  windowSize: 3,
  depth: 1,
  structure: "gated",
  noise: { kind: "custom", rates: [0, 0.1, 0.1] },
  evidence: "explicit",
} as const satisfies TensorAROptions;

const codes = () => loadCodes(join(dir, "codes"));

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "tensorar-refining-"));
  await writeTinyCodes(join(dir, "codes"));
  const task = pretrainTask(await codes(), SIZES, { batchSize: 4 });
  await train(task, { ...RUN, out: join(dir, "base"), steps: 3 });
  base = await loadModel(join(dir, "base"));
});
afterAll(() => rm(dir, { recursive: true }));

async function finetuning(tensorar: TensorAROptions, options: FinetuneOptions = {}) {
  const conditions = classConditions((await codes()).labels, 2);
  const given = { model: base, dir: join(dir, "base") };
  return finetuneTask(given, await codes(), conditions, tensorar, { batchSize: 4, emaDecay: 0, ...options });
}

const isModule = (name: string) => name.startsWith("tensorar.");

test("the first phase trains the output decoder alone; then everything moves, the base at its own rate", async () => {
  const out = join(dir, "phases");
  const task = await finetuning(EXPLICIT, { draftSteps: 2, bodyRate: 0.1 });
  const initial = task.initialState().params!;
  const moved = (weights: Awaited<ReturnType<typeof train>>) =>
    Object.keys(weights).filter((name) => weights[name]!.data.some((value, i) => value !== initial[name]!.data[i]));
  const drafts = await train(task, { ...RUN, out, steps: 2 });
  expect(moved(drafts).length).toBeGreaterThan(0);
  expect(moved(drafts).every((name) => name.startsWith("tensorar.output."))).toBe(true);
  const all = await train(task, { ...RUN, out: join(dir, "phases-all"), steps: 3 });
  expect(moved(all)).toEqual(expect.arrayContaining(["output.weight", "tensorar.input.layers.0.wo.weight", EVIDENCE]));
});

test.each([1, 2])(
  "a frozen base stays as it is, to the bit, and gains drafts, with %i batches a step",
  async (count) => {
    const out = join(dir, `frozen ${count}`);
    const weights = await train(await finetuning(EXPLICIT, { freezeBase: true, emaDecay: 0.9 }), {
      ...RUN,
      out,
      steps: 3,
      validateEvery: 3,
      gradientAccumulation: count,
    });
    for (const [name, tensor] of Object.entries(base.tensors)) expect(weights[name]!.data).toEqual(tensor.data);
    expect(Object.keys(weights).some(isModule)).toBe(true);
    // Final tokens are predicted from the base's own state, so its loss is the same with any drafts.
    const [entry] = (await readLog(out)).filter(({ heldOutLoss }) => heldOutLoss !== undefined);
    expect(entry!.heldOutBlanked0).toBeCloseTo(entry!.heldOutOwnDrafts0!, 6);
    expect(entry!.heldOutCross).toBeCloseTo(0, 6);
    const implicit = { ...EXPLICIT, evidence: "implicit" } as const;
    await expect(finetuning(implicit, { freezeBase: true })).rejects.toThrow(/use explicit evidence/);
    await expect(finetuning({ ...EXPLICIT, windowSize: 1 }, { freezeBase: true })).rejects.toThrow(
      /rates do not fit|leaves nothing/,
    );
  },
);

test("explicit evidence begins at what the noise makes a view worth", async () => {
  const task = await finetuning({ ...EXPLICIT, hidden: 0.5 });
  const expected = viewWeights([0, 0.55, 0.55], 11);
  const actual = Array.from(task.initialState().params![EVIDENCE]!.data as Float32Array);
  for (const [i, weight] of actual.entries()) expect(weight).toBeCloseTo(expected[i]!, 5);
});

test("a chained model learns, is measured with its own drafts, and is read back", async () => {
  const out = join(dir, "chained");
  const task = await finetuning({ ...EXPLICIT, structure: "chained" }, { selfFraction: 0.3 });
  await train(task, { ...RUN, out, steps: 8, validateEvery: 8 });
  const log = await readLog(out);
  expect(log.at(-1)!.loss).toBeLessThan(log[0]!.loss);
  expect(log.at(-1)!.heldOutOwnDrafts2).toBeGreaterThan(0);
  const { model, tensors } = await loadModel(out);
  expect(model.chained).toBe(true);
  // The last projection of the chain starts at 0 and has moved.
  expect(tensors["tensorar.output.chain.out.weight"]!.data.some((value) => value !== 0)).toBe(true);
});

test("held-out losses of TensorAR: by kind of drafts and depth, with what other tokens' drafts give", async () => {
  const out = join(dir, "modes");
  const options = { ...EXPLICIT, hidden: 0.5, blank: 0.3, randomRates: true, past: 0.05 };
  const task = await finetuning(options, { dropout: 0.2, lossWeights: [1, 0.5, 0.25] });
  await train(task, { ...RUN, out, steps: 2, validateEvery: 1 });
  const log = await readLog(out);
  expect(Object.keys(log[0]!)).toEqual(
    expect.arrayContaining([
      "heldOutLoss",
      "heldOutCross",
      ...["NoisedTruth", "OwnDrafts", "Blanked"].flatMap((mode) => [0, 1, 2].map((depth) => `heldOut${mode}${depth}`)),
    ]),
  );
  const [final, first, second] = [0, 1, 2].map((depth) => log[0]![`heldOutOwnDrafts${depth}`]!);
  expect(log[0]!.heldOutLoss).toBeCloseTo((final! + 0.5 * first! + 0.25 * second!) / 1.75, 5); // weighted as in training
  const { tensorar, noiseRates } = await loadModel(out);
  expect(tensorar).toMatchObject({ evidence: "explicit", blanks: true });
  for (const [j, rate] of [0, 0.525, 0.525].entries()) expect(noiseRates[j]).toBeCloseTo(rate, 12);
});

test("TensorAR from the first step on", async () => {
  const out = join(dir, "scratch");
  const task = pretrainTask(await codes(), SIZES, { batchSize: 4, tensorar: EXPLICIT, dropout: 0.1 });
  expect(task.title).toBe("TensorAR");
  await train(task, { ...RUN, out, steps: 2 });
  expect((await loadModel(out)).tensorar).toMatchObject({ windowSize: 3, evidence: "explicit" });
});

test("the result is the best on held-out images, also of a run that was stopped, and patience ends it", async () => {
  const settings = { ...RUN, learningRate: 0.3, steps: 12, validateEvery: 1, patience: 3 }; // far too fast, so it gets worse
  const task = async () => pretrainTask(await codes(), SIZES, { batchSize: 4, emaDecay: 0 });
  const notes: string[] = [];
  const out = join(dir, "patience");
  const weights = await train(await task(), { ...settings, out, note: (line) => notes.push(line) });
  const losses = (await readLog(out)).map(({ heldOutLoss }) => heldOutLoss!);
  const best = losses.indexOf(Math.min(...losses));
  expect(losses).toHaveLength(best + 1 + 3);
  expect(losses.length).toBeLessThan(12);
  expect(notes.at(-1)).toBe(`no better loss on held-out images; stopped at step ${losses.length}`);
  expect((await loadModel(out)).tensors).toEqual((await loadModel(join(out, "best"))).tensors);

  const stop = new AbortController();
  const progress = () => ({
    update: (done: number) => {
      if (done === best + 2) stop.abort(new Error("enough"));
    },
    stop: () => {},
  });
  const stopped = { ...settings, out: join(dir, "patience-stopped"), signal: stop.signal, progress };
  await expect(train(await task(), stopped)).rejects.toThrow("enough");
  const resumed = await train(await task(), { ...settings, out: stopped.out, resume: true });
  expect(resumed).toEqual(weights);
  expect(await train(await task(), { ...settings, out: stopped.out, resume: true })).toEqual(weights); // nothing is left to do
});

test("learning rates: linear warm-up, then constant or along half a cosine", () => {
  const options = { learningRate: 2, warmupSteps: 4, steps: 12 };
  const rates = (schedule: "constant" | "cosine") =>
    [1, 2, 4, 8, 12].map((step) => learningRateAt(step, { ...options, schedule }));
  expect(rates("constant")).toEqual([0.5, 1, 2, 2, 2]);
  for (const [i, rate] of [0.5, 1, 2, 1, 0].entries()) expect(rates("cosine")[i]).toBeCloseTo(rate, 12);
});
