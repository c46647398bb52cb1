import { cp, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Codes } from "@tensorar/data";
import { loadModel } from "@tensorar/model/node";
import { createStream } from "@tensorar/noise";
import { createTextTokenizer, wordPieceTokenizer } from "@tensorar/text";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { promptTokenizer } from "../src/conditions/prompts";
import { promptConditions, trainingConditions } from "../src/conditions/training-conditions";
import { finetuneTask, openPromptTokenizer, pretrainTextTask, readLog, train } from "../src/index";

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "tensorar-text-"));
});
afterAll(() => rm(dir, { recursive: true }));

/** Two captions an image; codes say which colour it is in its first half. */
const COUNT = 24;
const random = createStream(3, "text-codes");
const codes: Codes = {
  count: COUNT,
  grid: [2, 2],
  vocabSize: 5,
  classes: ["only"],
  dataset: "none",
  tokenizer: "none",
  captions: Array.from({ length: COUNT }, (_, i) => {
    const words = `${i % 2 === 0 ? "red" : "blue"} ${i % 3 === 0 ? "heart" : "star"}`;
    return [`a ${words}`, `${words} in noto style`];
  }),
  codes: Int32Array.from({ length: COUNT * 4 }, (_, at) => (at % 4 < 2 ? Math.floor(at / 4) % 2 : random.below(5))),
  labels: new Int32Array(COUNT),
  train: Int32Array.from({ length: 20 }, (_, i) => i),
  validation: Int32Array.of(20, 21, 22, 23),
};
const SIZES = { dim: 16, n_layer: 1, n_head: 2, multiple_of: 8 };
const ENCODER = { width: 16, layers: 1, heads: 2, vocabulary: 120, maxTokens: 8 };
const RUN = { warmupSteps: 2, logEvery: 1, checkpointEvery: 100, threads: 1 };
const task = () => pretrainTextTask(codes, SIZES, ENCODER, { batchSize: 8, emaDecay: 0.8 });

describe("a model of captions", () => {
  test("learns what a colour looks like, saves its vocabulary, and has TensorAR attached", async () => {
    const base = join(dir, "base");
    await train(task(), { ...RUN, out: base, steps: 80, learningRate: 0.01 });
    const log = await readLog(base);
    // Half of the tokens are told by the colour, the others are drawn from 5: at best ln 5 / 2 = 0.80 nats, more with dropped captions.
    expect(log[0]!.loss).toBeCloseTo(Math.log(5), 2);
    expect(log.at(-1)!.loss).toBeLessThan(1.15);

    const model = await loadModel(base);
    expect(model).toMatchObject({ kind: "llamagen-text", classes: [] });
    const { encode, notes } = await openPromptTokenizer(base, model.model.backbone.prompts!);
    expect(encode("a red heart")).toHaveLength(5);
    expect(notes(["a blue star"])).toEqual([]);

    const conditions = await trainingConditions(model, base, codes);
    const tensorar = { windowSize: 2, depth: 1, structure: "gated", noise: { kind: "linear" } } as const;
    await train(finetuneTask({ model, dir: base }, codes, conditions, tensorar, { batchSize: 4 }), {
      ...RUN,
      out: join(dir, "tensorar"),
      steps: 2,
    });
    const attached = await loadModel(join(dir, "tensorar"));
    expect(attached.tensorar.windowSize).toBe(2);
    for (const file of ["tokenizer.json", "tokenizer_config.json"])
      expect(await readFile(join(dir, "tensorar", file))).toEqual(await readFile(join(base, file)));
  });

  test("held-out images are measured, and the best model is kept, in a resumed run too", async () => {
    const options = { ...RUN, checkpointEvery: 10, validateEvery: 10, learningRate: 0.03 };
    const out = join(dir, "validated");
    await train(task(), { ...options, out, steps: 40 });
    const log = (await readLog(out)).filter(({ heldOutLoss }) => heldOutLoss !== undefined);
    expect(log.map(({ step }) => step)).toEqual([10, 20, 30, 40]);
    for (const { heldOutLoss, heldOutCrossEntropy0 } of log) expect(heldOutLoss).toBe(heldOutCrossEntropy0);
    const losses = log.map(({ heldOutLoss }) => heldOutLoss!);
    expect(losses[0]).toBeLessThan(Math.log(5));
    const best = losses.indexOf(Math.min(...losses));
    const until = await train(task(), { ...options, out: join(dir, "until"), steps: log[best]!.step });
    expect((await loadModel(join(out, "best"))).tensors).toEqual(until);

    await train(task(), { ...options, out: join(dir, "validated-resumed"), steps: 20 });
    await train(task(), { ...options, out: join(dir, "validated-resumed"), steps: 40, resume: true });
    const again = (await readLog(join(dir, "validated-resumed"))).flatMap(({ heldOutLoss }) => heldOutLoss ?? []);
    expect(again).toEqual(losses);
    expect((await loadModel(join(dir, "validated-resumed", "best"))).tensors).toEqual(until);
  });

  test("a run that was stopped continues to the bit", async () => {
    const options = { ...RUN, checkpointEvery: 2 };
    const whole = await train(task(), { ...options, out: join(dir, "whole"), steps: 4 });
    const out = join(dir, "stopped");
    await train(task(), { ...options, out, steps: 2 });
    await cp(out, join(dir, "copy"), { recursive: true });
    expect(await train(task(), { ...options, out: join(dir, "copy"), steps: 4, resume: true })).toEqual(whole);
  });

  test("a vocabulary that can't be is refused", () => {
    expect(() => pretrainTextTask(codes, SIZES, { ...ENCODER, vocabulary: 20 })).toThrow(
      "a vocabulary of 20 tokens is too small",
    );
  });
});

describe("captions of images", () => {
  const { tokenizer, config, vocabularySize, padId } = wordPieceTokenizer(codes.captions!.flat(), 120);
  const prompts = { vocabSize: vocabularySize, padId, template: "{}", maxTokens: 6, ownVocabulary: true };
  const reader = promptTokenizer(createTextTokenizer(tokenizer, config), prompts);
  const { encode, notes } = reader;

  test("of training are said to be cut, and how many and how long they are", async () => {
    const [first, ...others] = codes.captions!;
    const long = { ...codes, captions: [[...first!, "a red heart ".repeat(40)], ...others] };
    const wide = promptTokenizer(createTextTokenizer(tokenizer, config), { ...prompts, maxTokens: 16 });
    expect(promptConditions(long, wide, padId).notes).toEqual([
      `1 of ${new Set(long.captions.flat()).size} captions are cut to their first 16 tokens; the longest has 122`,
    ]);
    expect(promptConditions(codes, wide, padId).notes).toEqual([]);
    const told: string[] = [];
    const options = { ...RUN, out: join(dir, "cut"), steps: 1, note: (text: string) => void told.push(text) };
    await train(pretrainTextTask(long, SIZES, ENCODER, { batchSize: 4 }), options);
    expect(told.some((text) => /captions are cut to their first \d+ tokens; the longest has 122/.test(text))).toBe(
      true,
    );
  });

  test("are drawn: each of several as often", () => {
    const conditions = promptConditions(codes, reader, padId);
    const rowsAt = (draw: number, dropped = 0) => {
      const batch = conditions.batch([0, 1], Uint8Array.of(dropped, dropped), [draw, draw]);
      if (!("prompt" in batch && "mask" in batch)) throw new Error("no prompts");
      const { prompt, mask } = batch;
      const width = prompt.shape[1]!;
      expect(prompt.shape).toEqual([2, 6]); // the longest of all
      return Array.from({ length: 2 }, (_, row) =>
        Array.from(prompt.data)
          .slice(row * width, (row + 1) * width)
          .filter((_, i) => mask.data[row * width + i] === 1),
      );
    };
    expect(rowsAt(0)).toEqual([encode("a red heart"), encode("a blue star")]);
    expect(rowsAt(0.49)).toEqual([encode("a red heart"), encode("a blue star")]);
    expect(rowsAt(0.5)).toEqual([encode("red heart in noto style"), encode("blue star in noto style")]);
    expect(rowsAt(0, 1)[0]).toEqual([encode("a")[0], padId, padId, padId, encode("a").at(-1)]);
  });

  test("lose what is too long, and what is lost, unknown or missing is said", () => {
    expect(encode("a red heart in noto style")).toHaveLength(6);
    expect(encode(" ")).toEqual([encode("a")[0], padId, encode("a").at(-1)]);
    expect(notes(["a red heart", "", "a red heart in noto style"])).toEqual([
      "1 text has no words, which makes images unconditional: text 2",
      "1 text is cut to the first 6 tokens: text 3 has 8",
    ]);
    expect(notes(["a red 心!", "a rod"])).toEqual([
      '1 text has words that the text encoder does not know: "心", "!"',
      'read in pieces, since training had few or none of these words: "rod"',
    ]);
  });
});
