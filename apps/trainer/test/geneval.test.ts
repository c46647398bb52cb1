import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import "@tensorflow/tfjs";
import { writeNpz } from "@tensorar/checkpoint/node";
import { GENEVAL_COLORS } from "@tensorar/metrics";
import * as tf from "@tensorflow/tfjs-core";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { writeSamples } from "../../../packages/data/test/tiny-samples";
import {
  type Drawn,
  drawRectangles,
  RGB,
  SHAPES,
  tinyDetector,
  tinyImageEncoder,
  tinyTextEncoder,
} from "../../../packages/metrics/test/tiny-detector";
import { writeTinyEncoder } from "../../../packages/text-encoder/test/folders";
import { genevalCommand } from "../src/declarations/geneval";
import { sampleCommand } from "../src/declarations/sample";
import { runCli, spawnCli } from "./run-cli";
import { TINY_T2I, writeTinyModel, writeTinyTokenizer } from "./tiny-models";

// Whole runs on networks that work for a reason: the detector finds rectangles on grey and names them by their shape, the
// image encoder averages colours, the text encoder knows the words for them. So what images show decides the scores.

const SIZE = 64;
let dir: string;

/** A box in a quarter (0 … 3, by rows) of an image: bench, bottle or clock. */
function thing(shape: (typeof SHAPES)[number], color: string, quarter: number): Drawn {
  const [width, height] = { bench: [24, 10], bottle: [8, 24], clock: [16, 16] }[shape];
  const [left, top] = [32 * (quarter % 2) + 3, 32 * Math.floor(quarter / 2) + 4];
  return { color, box: [left, top, left + width!, top + height!] };
}

interface Scene {
  readonly prompt: object;
  /** Each with its verdict, which follows from the prompt's meaning. */
  readonly images: readonly (readonly [things: readonly Drawn[], correct: boolean])[];
}

const one = (name: string, more: object = {}) => ({ class: name, count: 1, ...more });
const SCENES: readonly Scene[] = [
  {
    prompt: { tag: "single_object", include: [one("bench")], prompt: "a photo of a bench" },
    images: [
      [[thing("bench", "blue", 2)], true],
      [[thing("bottle", "blue", 2)], false],
      [[], false],
    ],
  },
  {
    prompt: { tag: "two_object", include: [one("bench"), one("clock")], prompt: "a photo of a bench and a clock" },
    images: [
      [[thing("bench", "red", 0), thing("clock", "green", 3)], true],
      [[thing("bench", "red", 0)], false],
    ],
  },
  {
    prompt: {
      tag: "counting",
      include: [{ class: "clock", count: 2 }],
      exclude: [{ class: "clock", count: 3 }],
      prompt: "a photo of two clocks",
    },
    images: [
      [[thing("clock", "red", 0), thing("clock", "blue", 1)], true],
      [[0, 1, 2].map((quarter) => thing("clock", "red", quarter)), false],
      [[thing("clock", "red", 0)], false],
      [[thing("clock", "red", 0), thing("clock", "blue", 1), thing("clock", "faint", 2)], true], // the third is unsure
    ],
  },
  {
    prompt: { tag: "colors", include: [one("bottle", { color: "purple" })], prompt: "a photo of a purple bottle" },
    images: [
      [[thing("bottle", "purple", 1)], true],
      [[thing("bottle", "brown", 1), thing("bench", "purple", 2)], false],
    ],
  },
  {
    prompt: {
      tag: "position",
      include: [one("clock"), one("bottle", { position: ["left of", 0] })],
      prompt: "a photo of a bottle left of a clock",
    },
    images: [
      [[thing("clock", "red", 1), thing("bottle", "red", 0)], true],
      [[thing("clock", "red", 0), thing("bottle", "red", 1)], false],
      [[thing("clock", "red", 0), thing("bottle", "red", 2)], false], // below
    ],
  },
  {
    prompt: {
      tag: "color_attr",
      include: [one("bench", { color: "white" }), one("clock", { color: "black" })],
      prompt: "a photo of a white bench and a black clock",
    },
    images: [
      [[thing("bench", "white", 0), thing("clock", "black", 1)], true],
      [[thing("bench", "black", 0), thing("clock", "white", 1)], false],
    ],
  },
];
const PROMPTS = SCENES.map(({ prompt }) => `${JSON.stringify(prompt)}\n`).join("");
const SCORES = {
  single_object: 1 / 3,
  two_object: 1 / 2,
  counting: 1 / 2,
  colors: 1 / 2,
  position: 1 / 3,
  color_attr: 1 / 2,
  overall: (1 / 3 + 1 / 2 + 1 / 2 + 1 / 2 + 1 / 3 + 1 / 2) / 6,
};

/** In GenEval's layout. */
async function saveScenes(name: string, scenes: readonly Scene[], first = 0): Promise<string> {
  const folder = join(dir, name);
  for (const [i, { prompt, images }] of scenes.entries()) {
    const own = join(folder, String(first + i).padStart(5, "0"));
    await mkdir(join(own, "samples"), { recursive: true });
    await writeFile(join(own, "metadata.jsonl"), JSON.stringify(prompt));
    for (const [j, [things]] of images.entries())
      await sharp(drawRectangles(SIZE, SIZE, things), { raw: { width: SIZE, height: SIZE, channels: 3 } })
        .png()
        .toFile(join(own, "samples", `${String(j).padStart(4, "0")}.png`));
  }
  return folder;
}

const preprocessing = (size: number, middle: number) => ({
  size: [size, size],
  resize: { filter: "bilinear" },
  layout: "NCHW",
  mean: [middle, middle, middle],
  std: [middle || 1, middle || 1, middle || 1],
});

async function saveJson(name: string, value: object): Promise<string> {
  await writeFile(join(dir, name), JSON.stringify(value));
  return join(dir, name);
}

const signed = (color: string) => RGB[color]!.map((value) => value / 127.5 - 1);
let detector: string;
let colors: string;
let images: string;
let prompts: string;

beforeAll(async () => {
  await tf.setBackend("cpu");
  dir = await mkdtemp(join(tmpdir(), "tensorar geneval "));
  (RGB as Record<string, readonly number[]>).faint = [150, 150, 150];
  images = await saveScenes("images", SCENES);
  prompts = join(dir, "evaluation_metadata.jsonl");
  await writeFile(prompts, PROMPTS);
  await writeFile(join(dir, "detector.onnx"), tinyDetector({ layout: "boxes", size: [SIZE, SIZE] }));
  await writeFile(join(dir, "shapes.txt"), `${SHAPES.join("\n")}\n`);
  detector = await saveJson("detector.json", {
    model: "detector.onnx",
    preprocessing: preprocessing(SIZE, 0),
    classes: "shapes.txt",
    outputs: { kind: "boxes", boxes: "boxes", labels: "labels", scores: "scores" },
  });
  await writeFile(join(dir, "image.onnx"), tinyImageEncoder([8, 8]));
  // Words as tokens: 0 fills up, 1 is any other word, 2 and 3 begin and end, then the colours.
  const special = ["[PAD]", "[UNK]", "<s>", "</s>"];
  const vocabulary = [...special, ...GENEVAL_COLORS];
  const table = vocabulary.map((word) => (word in RGB ? signed(word) : [0, 0, 0]));
  await writeFile(join(dir, "text.onnx"), tinyTextEncoder(table, 16));
  await mkdir(join(dir, "tokenizer"));
  await saveJson("tokenizer/tokenizer.json", {
    normalizer: null,
    decoder: null,
    added_tokens: special.map((content, id) => ({ id, content, special: true })),
    pre_tokenizer: { type: "Whitespace" },
    post_processor: {
      type: "TemplateProcessing", special_tokens: { "<s>": { id: "<s>", ids: [2], tokens: ["<s>"] }, "</s>": { id: "</s>", ids: [3], tokens: ["</s>"] } },
      single: [{ SpecialToken: { id: "<s>", type_id: 0 } }, { Sequence: { id: "A", type_id: 0 } }, { SpecialToken: { id: "</s>", type_id: 0 } }],
      pair: [],
    }, // biome-ignore format: rows
    model: {
      type: "WordPiece",
      unk_token: "[UNK]",
      continuing_subword_prefix: "##",
      max_input_chars_per_word: 50,
      vocab: Object.fromEntries(vocabulary.map((word, id) => [word, id])),
    },
  });
  await saveJson("tokenizer/tokenizer_config.json", { pad_token: "[PAD]" });
  const image = { model: "image.onnx", output: "image_embeds", preprocessing: preprocessing(8, 0.5) };
  const text = { model: "text.onnx", output: "text_embeds", tokenizer: "tokenizer", length: 16 };
  colors = await saveJson("colors.json", { image, text });
  const row = Float32Array.from(GENEVAL_COLORS.flatMap(signed));
  const embeddings = { dtype: "float32" as const, shape: [10, 3], data: row };
  await writeNpz(join(dir, "colors.npz"), { bench: embeddings, clock: embeddings, bottle: embeddings });
  await saveJson("stored.json", { image, text: { embeddings: "colors.npz" } });
});
afterAll(() => rm(dir, { recursive: true, force: true }));

/** Flags as their settings, as the command line reads them. */
function settingsOf(args: readonly string[]): Record<string, unknown> {
  const settings: Record<string, unknown> = { threads: 1 };
  for (const [i, flag] of args.entries()) {
    if (!flag.startsWith("--")) continue;
    const value = args[i + 1];
    settings[flag.slice(2)] = flag === "--resume" ? true : flag === "--merge" ? value!.split(",") : value;
  }
  return settings;
}

/** Runs the command in this process, which is quicker than one of its own. */
async function command(out: string, ...args: string[]): Promise<string> {
  const lines: string[] = [];
  const spies = (["log", "error"] as const).map((name) =>
    vi.spyOn(console, name).mockImplementation((line) => void lines.push(String(line))),
  );
  try {
    const settings = genevalCommand.schema.parse(settingsOf(["--output", join(dir, out), ...args]));
    await (await genevalCommand.load()).run(settings, new AbortController().signal);
    return lines.join("\n");
  } finally {
    for (const spy of spies) spy.mockRestore();
  }
}

const run = async (out: string, ...args: string[]) => ({
  output: await command(out, ...args),
  results: JSON.parse(await readFile(join(dir, out, "results.json"), "utf8")),
});

test("six tasks from images to columns: verdicts, reasons, a table and a page", async () => {
  const networks = ["--detector", detector, "--colors", colors];
  const args = ["geneval", "--images", images, "--prompts", prompts, ...networks, "--output", join(dir, "whole")];
  const { status, output } = await runCli(args);
  expect(status, output).toBe(0);
  const results = JSON.parse(await readFile(join(dir, "whole", "results.json"), "utf8"));
  const expected = SCENES.flatMap(({ images }) => images.map(([, correct]) => correct));
  expect(results.images.map(({ correct }: { correct: boolean }) => correct)).toEqual(expected);
  expect(results.scores).toEqual(SCORES);
  expect(results.counts.counting).toEqual({ images: 4, correct: 2 });
  expect([results.prompts, results.correctPrompts]).toEqual([6, 6]);
  const reasons = Object.fromEntries(
    results.images.map((each: { image: string; reasons: string[] }) => [each.image, each.reasons]),
  );
  expect(reasons["00000/samples/0001.png"]).toEqual(["expected 1 bench, found 0"]);
  expect(reasons["00002/samples/0001.png"]).toEqual(["expected fewer than 3 clock, found 3"]);
  expect(reasons["00003/samples/0001.png"]).toEqual(["expected 1 purple bottle, found brown"]);
  expect(reasons["00004/samples/0002.png"][0]).toMatch(/expected bottle left of its target, found below/);
  expect(reasons["00005/samples/0001.png"]).toEqual([
    ...["expected 1 white bench, found black", "expected 1 black clock, found white"],
  ]);
  expect(output).toMatch(/Overall +Single object +Two objects +Counting +Colors +Position +Color attribution/);
  expect(output).toMatch(/score +0\.44 +0\.33 +0\.50 +0\.50 +0\.50 +0\.33 +0\.50/);
  expect(output).toMatch(/geneval: 16\/16 .*· 7 correct/);
  const page = await readFile(join(dir, "whole", "report.html"), "utf8");
  expect(page.match(/<svg /g)).toHaveLength(16);
  for (const part of ["Color attribution", "purple bottle 0.95", "✗ wrong", "stroke-dasharray"]) expect(page).toContain(part); // biome-ignore format: one row
});

test("embeddings from a file give the same; prompts may come from beside the images", async () => {
  const { results } = await run("stored", "--images", images, "--detector", detector, "--colors", join(dir, "stored.json")); // biome-ignore format: one row
  expect(results.scores).toEqual(SCORES);
});

test("samples of ours know their prompts", async () => {
  const [first, second] = [SCENES[0]!, SCENES[1]!];
  const pixels = [...first.images.slice(0, 1), ...second.images, ...first.images.slice(1, 2)];
  const samples = join(dir, "samples");
  const texts = [first, second].map(({ prompt }) => (prompt as { prompt: string }).prompt);
  const description = { count: 4, imageSize: SIZE, windowSize: 1, grid: [1, 1] as [number, number], settings: {} };
  await writeSamples(
    samples,
    { ...description, classes: texts },
    {
      images: Uint8Array.from(pixels.flatMap(([things]) => [...drawRectangles(SIZE, SIZE, things)])),
      labels: Int32Array.of(0, 1, 1, 0),
      codes: new Int32Array(4),
      trace: new Int32Array(4),
    },
  );
  const some = join(dir, "some.jsonl");
  await writeFile(some, [first, second].map(({ prompt }) => JSON.stringify(prompt)).join("\n"));
  const { output, results } = await run("of samples", "--images", samples, "--prompts", some, "--detector", detector);
  expect(results.images.map(({ correct }: { correct: boolean }) => correct)).toEqual([true, true, false, false]);
  expect(results.scores).toMatchObject({ single_object: 0.5, two_object: 0.5, counting: null, overall: null });
  expect(output).toMatch(/Overall is the mean over all six tasks; there are no images of: Counting, Colors, Position/);
});

test("a text-to-image run from GenEval's own prompts to its columns", async () => {
  const model = join(dir, "model");
  await writeTinyModel(model, { backbone: TINY_T2I, classes: [] });
  await writeTinyTokenizer(join(model, "tokenizer"));
  await mkdir(join(model, "text-encoder"));
  await writeTinyEncoder(join(model, "text-encoder"));
  const drawn = { model, prompts, output: join(dir, "drawn"), numImages: 12, evaluationSize: SIZE, threads: 1 };
  const spies = (["log", "error"] as const).map((name) => vi.spyOn(console, name).mockImplementation(() => {}));
  await (await sampleCommand.load()).run(sampleCommand.schema.parse(drawn), new AbortController().signal);
  for (const spy of spies) spy.mockRestore();
  const flags = ["--images", join(dir, "drawn"), "--prompts", prompts, "--detector", detector, "--colors", colors];
  const { results } = await run("of a model", ...flags);
  // A model that knows nothing shows nothing, but every image is scored for its own prompt.
  expect(results.images).toHaveLength(12);
  expect(results.prompts).toBe(6);
  const texts = SCENES.map(({ prompt }) => (prompt as { prompt: string }).prompt);
  expect(results.images.map(({ prompt }: { prompt: string }) => prompt)).toEqual([...texts, ...texts]);
  expect(results.scores.overall).toBe(0);
});

test("stopped and resumed is as if never stopped; nothing is scored twice", async () => {
  const args = ["--images", images, "--prompts", prompts, "--detector", detector, "--colors", colors];
  const out = join(dir, "stopped");
  await mkdir(out);
  // As a crash leaves it: some lines, the last one cut off.
  const whole = await readFile(join(dir, "whole", "images.jsonl"), "utf8");
  await writeFile(join(out, "images.jsonl"), whole.slice(0, whole.split("\n", 5).join("\n").length + 30));
  await writeFile(join(out, "recipe.json"), await readFile(join(dir, "whole", "recipe.json")));
  await expect(run("stopped", ...args)).rejects.toThrow(/already holds results; continue with --resume/);
  const { output, results } = await run("stopped", "--resume", ...args);
  expect(output).toMatch(/geneval: 16\/16/);
  expect(await readFile(join(out, "images.jsonl"), "utf8")).toBe(whole);
  expect(results).toEqual(JSON.parse(await readFile(join(dir, "whole", "results.json"), "utf8")));
  const other = ["--images", images, "--detector", detector, "--colors", join(dir, "stored.json")];
  await expect(run("stopped", "--resume", ...other)).rejects.toThrow(/"colors" was another; resume with the same/);
});

test("Ctrl-C ends with what is done written down", async () => {
  const many = SCENES.map((scene) => ({ ...scene, images: Array.from({ length: 20 }, () => scene.images).flat() }));
  const folder = await saveScenes("many", many);
  const out = join(dir, "interrupted");
  const args = ["geneval", "--images", folder, "--detector", detector, "--colors", colors, "--output", out];
  const stopped = await spawnCli(args, { when: /geneval: 1\/320/, signal: "SIGINT" });
  expect(stopped.status, stopped.output).toBe(130);
  expect(stopped.output).toMatch(/\d+ of 320 images are scored; --resume continues\nstopped\n$/);
  const done = (await readFile(join(out, "images.jsonl"), "utf8")).trimEnd().split("\n").length;
  expect(done).toBeGreaterThan(0);
  const { results } = await run("interrupted", "--resume", ...args.slice(1, -2));
  expect(results.scores).toEqual(SCORES);
  expect(new Set(results.images.map(({ image }: { image: string }) => image)).size).toBe(320);
});

test("parts on several machines add up to the whole", async () => {
  const parts = [await saveScenes("part 1", SCENES.slice(0, 2)), await saveScenes("part 2", SCENES.slice(2), 2)];
  for (const [i, part] of parts.entries())
    await run(`scores ${i}`, "--images", part, "--detector", detector, "--colors", colors);
  const folders = parts.map((_, i) => join(dir, `scores ${i}`));
  const { results } = await run("merged", "--merge", folders.join(","));
  const whole = JSON.parse(await readFile(join(dir, "whole", "results.json"), "utf8"));
  expect(results).toEqual({ ...whole, recipe: { ...whole.recipe, images: folders } });
  const merge = (...names: string[]) => expect(command("bad", "--merge", names.join(","))).rejects;
  await merge(folders[0]!, folders[0]!).toThrow(/names .*scores 0 twice/);
  await merge(folders[0]!, join(dir, "stored")).toThrow(/stored\/results\.json: "colors" is not that/);
  await merge(dir).toThrow(/results\.json: there is no such file; expected results of/);
});

describe("refuses by name", () => {
  let refusals = 0;
  const refused = async (...args: string[]) => {
    const error = await command(`refused ${++refusals}`, ...args).catch((error: Error) => error);
    expect(error).toMatchObject({ name: "TensorARError" });
    return (error as Error).message;
  };
  const changed = async (name: string, change: object, file = "detector.json") =>
    saveJson(name, { ...JSON.parse(await readFile(join(dir, file), "utf8")), ...change });

  test("settings that do not fit", async () => {
    expect(await refused()).toMatch(/give --images to score some, or --merge/);
    expect(await refused("--images", images)).toMatch(/--images needs --detector/);
    expect(await refused("--images", images, "--detector", detector)).toMatch(
      /name colours of 3 classes.*give --colors/,
    );
  });

  test("prompts and images", async () => {
    const score = (...args: string[]) => refused("--detector", detector, "--colors", colors, ...args);
    expect(await score("--images", join(dir, "none"))).toMatch(/none is no folder/);
    expect(await score("--images", join(dir, "tokenizer"))).toMatch(/neither folders 00000, 00001/);
    expect(await score("--images", images, "--prompts", join(dir, "none.jsonl"))).toMatch(
      /cannot read ".*none\.jsonl": ENOENT/,
    );
    expect(await score("--images", images, "--prompts", join(dir, "shapes.txt"))).toMatch(
      /shapes\.txt, line 1: not valid JSON/,
    );
    const more = join(dir, "more.jsonl");
    await writeFile(more, PROMPTS + PROMPTS);
    expect(await score("--images", images, "--prompts", more)).toMatch(/00006: there are no images for "a photo of a bench", and for 6 of 12 prompts/); // biome-ignore format: one row
    const turned = join(dir, "turned.jsonl");
    await writeFile(turned, PROMPTS.trimEnd().split("\n").reverse().join("\n"));
    expect(await score("--images", images, "--prompts", turned)).toMatch(/00000\/metadata\.jsonl: "a photo of a bench" is not line 1 of --prompts/); // biome-ignore format: one row
    const empty = await saveScenes("empty", [{ ...SCENES[0]!, images: [] }]);
    expect(await score("--images", empty)).toMatch(/samples holds no image \(0000\.png/);
    const mouse = { tag: "single_object", include: [one("computer mouse")], prompt: "a photo of a computer mouse" };
    const unknown = await saveScenes("unknown", [{ ...SCENES[0]!, prompt: mouse }]);
    expect(await score("--images", unknown)).toMatch(/"computer mouse" is none of the 3 classes of .*detector\.json/);
    const teal = { tag: "colors", include: [one("clock", { color: "teal" })], prompt: "a photo of a teal clock" };
    const painted = await saveScenes("painted", [{ ...SCENES[0]!, prompt: teal }]);
    expect(await score("--images", painted)).toMatch(/"teal" is none of GenEval's colours, red, orange/);
    const broken = await saveScenes("broken", [SCENES[0]!]);
    await writeFile(join(broken, "00000", "samples", "0001.png"), "no image");
    expect(await score("--images", broken)).toMatch(/0001\.png: not a readable image/);
  });

  test("networks", async () => {
    const score = (...args: string[]) => refused("--images", images, ...args);
    const detect = async (change: object) => score("--colors", colors, "--detector", await changed("changed.json", change)); // biome-ignore format: one row
    expect(await detect({ outputs: { kind: "dets", dets: "dets", labels: "labels" } })).toMatch(
      /changed\.json: userDetector: the model has no output "dets"; it has "boxes", "labels", "scores"/,
    );
    expect(await detect({ classes: "coco" })).toMatch(/classes "coco": cannot read .*give coco-80, coco-91, or a file/);
    expect(await detect({ treshold: 1 })).toMatch(/changed\.json: not the description of a detector.*"treshold"/s);
    await writeFile(join(dir, "short.txt"), "bench\nbottle");
    const noClock = await saveScenes("no clock", [{ ...SCENES[0]!, images: [[[thing("clock", "red", 0)], false]] }]);
    const short = await changed("changed.json", { classes: "short.txt" });
    expect(await refused("--images", noClock, "--detector", short)).toMatch(
      /00000\/samples\/0000\.png: .*changed\.json: userDetector: detection 0 has the label 2, but there are 2 class names/,
    );
    const paint = async (change: object) => score("--detector", detector, "--colors", await changed("changed.json", change, "colors.json")); // biome-ignore format: one row
    expect(await paint({ text: { embeddings: "none.npz" } })).toMatch(/none\.npz.*no such file/);
    await writeNpz(join(dir, "few.npz"), { bottle: { dtype: "float32", shape: [3], data: new Float32Array(3) } });
    expect(await paint({ text: { embeddings: "few.npz" } })).toMatch(
      /few\.npz: tensor "bottle" is \[3\]; it holds embeddings of that class in 10 colours \(red, orange/,
    );
    const text = { model: "text.onnx", output: "text_embeds", tokenizer: "tokenizer", length: 16 };
    expect(await paint({ text: { ...text, tokenizer: "." } })).toMatch(/tokenizer\.json: there is no such file/);
    expect(await paint({ text: { ...text, output: "pooled" } })).toMatch(
      /changed\.json: userTextEncoder: the model has no/,
    );
    expect(await paint({ text: { ...text, length: 20 } })).toMatch(/takes 16 tokens, not length = 20/);
  });
});
