import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { openSamples } from "@tensorar/data";
import sharp from "sharp";
import { afterAll, beforeAll, beforeEach, expect, test, vi } from "vitest";
import { temporaryFolder } from "../../../packages/data/test/data-helpers";
import { writeTinyEncoder } from "../../../packages/text-encoder/test/folders";
import { command } from "../src/commands/sample";
import { sampleCommand } from "../src/declarations/sample";
import { TINY_T2I, writeTinyModel, writeTinyTokenizer } from "./tiny-models";

const root = temporaryFolder();
const path = (name: string) => join(root, name);
const lines: string[] = [];

beforeAll(async () => {
  for (const stream of ["log", "error"] as const)
    vi.spyOn(console, stream).mockImplementation((line: string) => void lines.push(line));
  await writeTinyModel(path("model"), { backbone: TINY_T2I, classes: [] });
  await writeTinyTokenizer(join(path("model"), "tokenizer"));
  await mkdir(join(path("model"), "text-encoder"));
  await writeTinyEncoder(join(path("model"), "text-encoder"));
});
beforeEach(() => {
  lines.length = 0;
});
afterAll(() => vi.restoreAllMocks());

async function sample(name: string, settings: Record<string, unknown>) {
  const base = { model: path("model"), output: path(name), engine: "onnx", threads: 1, cfgScale: 3 };
  await command.run(sampleCommand.schema.parse({ ...base, ...settings }), new AbortController().signal);
  const samples = await openSamples(path(name));
  return { samples, rows: await samples.read(0, samples.count) };
}

const prompts = async (name: string, text: string) => {
  await writeFile(path(name), text);
  return path(name);
};

test("a prompt needs nothing but the model's folder", async () => {
  const { samples } = await sample("one", { prompt: "a red heart", numImages: 3 });
  expect(samples.classes).toEqual(["a red heart"]);
  expect([...samples.labels]).toEqual([0, 0, 0]);
  expect(samples.inputs).toHaveProperty("textEncoder");
  const other = await sample("other", { prompt: "blue", numImages: 3 });
  const again = await sample("again", { prompt: "a red heart", numImages: 3 });
  const one = (await samples.read(0, 3)).codes;
  expect(again.rows.codes).toEqual(one);
  expect(other.rows.codes).not.toEqual(one);
});

test("prompts of a file are mixed in a batch, whatever ends its lines", async () => {
  const file = await prompts("prompts.txt", "\ufeffa red heart\r\n\r\nblue star\r\n");
  const mixed = await sample("mixed", { prompts: file, numImages: 5, batchSize: 5 });
  expect(mixed.samples.classes).toEqual(["a red heart", "blue star"]);
  expect([...mixed.samples.labels]).toEqual([0, 1, 0, 1, 0]);
  const single = await sample("single", { prompts: file, numImages: 5, batchSize: 1 });
  expect(single.rows).toEqual(mixed.rows);
});

test("prompts, scales and seeds take turns; each image is that of a run with its own alone", async () => {
  const file = await prompts("turns.txt", "a red heart\nblue star\n");
  const mixed = await sample("turns", { prompts: file, cfgScale: [1, 3], seed: [5, 9], numImages: 16, batchSize: 5 });
  const T = mixed.samples.tokens;
  for (const [s, cfgScale] of [1, 3].entries()) {
    for (const [z, seed] of [5, 9].entries()) {
      const { rows } = await sample(`alone-${cfgScale}-${seed}`, { prompts: file, cfgScale, seed, numImages: 4 });
      for (let i = 0; i < 4; i++) {
        const [round, prompt] = [i >> 1, i & 1];
        const image = ((round * 2 + z) * 2 + s) * 2 + prompt;
        expect(mixed.rows.codes.slice(image * T, (image + 1) * T)).toEqual(rows.codes.slice(i * T, (i + 1) * T));
      }
    }
  }
  // Two prompts of 3 images, from first drafts to final tokens; the image of a grid of 4 × 4 has room for its title.
  const strips = await sharp(path("turns/refinement.png")).metadata();
  expect(strips.width).toBe(3 * 96 + 2 * 2);
  expect(strips.height).toBeGreaterThan(2 * (96 + 11));
  const grid = await sharp(path("turns/grid.png")).metadata();
  expect(grid.width).toBe(4 * 132 + 3 * 2);
  expect(grid.height).toBeGreaterThan(4 * (132 + 22));
});

test("says what is not read of a prompt, and which images have no condition", async () => {
  const long = "red ".repeat(2500);
  const file = await prompts("odd.txt", `${long}\na purple \u202eheart\na 👩‍🚀\n`);
  await sample("odd", { prompts: file, numImages: 3 });
  expect(lines).toContain("note: 1 text is cut to the first 5 tokens: text 1 has 2501");
  expect(lines).toContain(
    'note: 2 texts have words that the text encoder does not know: "purple", "\u202eheart", "👩‍🚀"',
  );
  lines.length = 0;
  const empty = await sample("empty", { prompt: " ", numImages: 2 });
  expect(lines).toContain("note: 1 text has no words, which makes images unconditional: text 1");
  // Without a condition guidance has nothing to guide to: the scale does not matter.
  const unguided = await sample("unguided", { prompt: "", numImages: 2, cfgScale: 1 });
  expect(unguided.rows.codes).toEqual(empty.rows.codes);
});

test.each<[string, Record<string, unknown>, RegExp]>([
  ["nothing", {}, /model is conditioned on texts; give --prompt, or --prompts with a file of lines/],
  ["classes", { classes: ["cat"] }, /--classes: .* is conditioned on texts; use --prompt or --prompts or --captions/],
  ["two of them", { prompt: "a", captions: "x.safetensors" }, /--prompt and --captions both say what the images show/],
  ["a control character", { prompt: "a\u0000b" }, /--prompt: a control character \(U\+0000\) at place 1/],
  ["no file", { prompts: "/nowhere.txt" }, /nowhere\.txt/],
])("%s is refused", async (_, settings, message) => {
  await expect(sample("refused", settings)).rejects.toThrow(message);
});

test("a model without its encoder or tokenizer says what to do", async () => {
  const model = await writeTinyModel(path("bare"), { backbone: TINY_T2I, classes: [] });
  await expect(sample("bare-samples", { model, prompt: "a" })).rejects.toThrow(
    /there is no tokenizer in .*bare\/tokenizer or .*tokenizer; name its folder with --tokenizer/,
  );
  const tokenizer = join(path("model"), "tokenizer");
  await expect(sample("bare-samples", { model, tokenizer, prompt: "a" })).rejects.toThrow(
    /bare\/text-encoder: there is no text encoder; put that of the model there.*tensorar convert --from t5/,
  );
  await mkdir(join(model, "text-encoder"));
  await writeTinyEncoder(join(model, "text-encoder"));
  const config = join(model, "text-encoder", "config.json");
  await writeFile(config, (await readFile(config, "utf8")).replace('"maxLength": 5', '"maxLength": 7'));
  await expect(sample("bare-samples", { model, tokenizer, prompt: "a" })).rejects.toThrow(
    /text-encoder makes features of 7 positions of width 8, but the model takes 5 positions of width 8/,
  );
  await rm(join(model, "text-encoder", "tokenizer.json"));
  await writeFile(config, (await readFile(config, "utf8")).replace('"maxLength": 7', '"maxLength": 5'));
  await expect(sample("bare-samples", { model, tokenizer, prompt: "a" })).rejects.toThrow(
    /text-encoder\/tokenizer\.json: there is no such file/,
  );
});
