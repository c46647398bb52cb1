import { existsSync, readdirSync } from "node:fs";
import { cp, mkdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { openNpz } from "@tensorar/checkpoint/node";
import { openSamples } from "@tensorar/data";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { temporaryFolder } from "../../../packages/data/test/data-helpers";
import { command } from "../src/commands/sample";
import { sampleCommand } from "../src/declarations/sample";
import { KILLS, KILLS_MS, killAndResume, timed } from "./kills";
import { writeTinyModel, writeTinyTokenizer } from "./tiny-models";

const root = temporaryFolder();
const path = (name: string) => join(root, name);
let base: Record<string, unknown>;
const lines: string[] = [];

beforeAll(async () => {
  for (const stream of ["log", "error"] as const)
    vi.spyOn(console, stream).mockImplementation((line: string) => void lines.push(line));
  base = {
    model: await writeTinyModel(path("model")),
    tokenizer: await writeTinyTokenizer(path("tokenizer")),
    numImages: 150,
    batchSize: 40,
    engine: "onnx",
    threads: 1,
  };
  await sample("whole", { npz: true });
});
afterAll(() => vi.restoreAllMocks());

async function sample(name: string, settings: Record<string, unknown> = {}, signal = new AbortController().signal) {
  lines.length = 0;
  await command.run(sampleCommand.schema.parse({ ...base, output: path(name), ...settings }), signal);
  return lines.join("\n");
}

/** Contents of all files, by path. */
async function contents(name: string): Promise<Record<string, string>> {
  const files = readdirSync(path(name), { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const paths = files.map((entry) => join(entry.parentPath, entry.name)).sort();
  const read = await Promise.all(paths.map((file) => readFile(file, "base64")));
  return Object.fromEntries(paths.map((file, i) => [file.slice(path(name).length + 1), read[i]!]));
}

test("shards, pictures and an archive hold the same images", async () => {
  const samples = await openSamples(path("whole"));
  expect(readdirSync(join(path("whole"), "shards"))).toEqual([0, 1, 2].map((i) => `0000${i}.safetensors`)); // 64 + 64 + 22
  expect([...samples.labels.subarray(0, 5)]).toEqual([0, 1, 2, 0, 1]);
  const { images, trace, codes } = await samples.read(60, 80); // of three shards
  const npz = await openNpz(join(path("whole"), "samples.npz"));
  expect(npz.info("arr_0")).toMatchObject({ dtype: "uint8", shape: [150, 6, 6, 3] });
  const { data } = await npz.read("arr_0");
  await npz.close();
  expect(Buffer.from(images)).toEqual(Buffer.from(data.subarray(60 * 108, 140 * 108) as Uint8Array));
  expect(readdirSync(join(path("whole"), "images"))).toHaveLength(150);
  const png = await sharp(join(path("whole"), "images", "000130.png"))
    .raw()
    .toBuffer();
  expect(png).toEqual(Buffer.from(images.subarray(70 * 108, 71 * 108)));
  expect(new Set(codes).size).toBeGreaterThan(4);
  for (let token = 0; token < codes.length; token++) expect(trace[3 * token + 2]).toBe(codes[token]); // depth k - 1 is final
});

test("every file is the same whatever the batch size", async () => {
  const whole = await contents("whole");
  for (const batchSize of [7, 64, 200]) {
    await sample(`batches of ${batchSize}`, { batchSize, npz: true });
    expect(await contents(`batches of ${batchSize}`)).toEqual(whole);
  }
});

describe("a run that ended early", () => {
  /** As a kill leaves it: `shards` of the whole run are listed. */
  async function killed(name: string, ...shards: number[]): Promise<void> {
    await cp(path("whole"), path(name), { recursive: true });
    for (const file of ["grid.png", "samples.npz", "checksums.txt"]) await rm(join(path(name), file));
    const manifest = JSON.parse(await readFile(join(path(name), "manifest.json"), "utf8"));
    const all = Object.entries(manifest.shards.sha256);
    manifest.shards.sha256 = Object.fromEntries(all.filter((_, index) => shards.includes(index)));
    await writeFile(join(path(name), "manifest.json"), JSON.stringify(manifest));
  }
  const shard = (name: string, index: number) => join(path(name), "shards", `0000${index}.safetensors`);

  test("continues to the same bytes, and keeps what is whole", async () => {
    await killed("continued", 0);
    await rm(shard("continued", 1));
    await rm(join(path("continued"), "images", "000070.png"));
    expect(await sample("continued", { resume: true, npz: true })).toContain("64 of 150 images are there");
    expect(await contents("continued")).toEqual(await contents("whole"));
  });

  test("makes shards again that are missing or damaged, in the middle too", async () => {
    await killed("damaged", 0, 1, 2);
    await truncate(shard("damaged", 1), 1000);
    const output = await sample("damaged", { resume: true, npz: true, batchSize: 30 });
    expect(output).toContain("86 of 150 images are there, and 1 damaged shards");
    expect(await contents("damaged")).toEqual(await contents("whole"));
  });

  test("is refused by readers until it is complete", async () => {
    await killed("incomplete", 0, 2);
    await expect(openSamples(path("incomplete"))).rejects.toThrow(/only 86 of 150 samples are there; .*--resume/);
  });

  test("is not continued with other settings or weights", async () => {
    await killed("other", 0);
    const resume = (settings: Record<string, unknown>) =>
      expect(sample("other", { resume: true, ...settings })).rejects;
    await resume({ seed: 1 }).toThrow(/begun with other settings: "seed" was 0, and is 1 now/);
    await resume({ topK: [5] }).toThrow(/"topK" was 0, and is \[5\] now/);
    await resume({ classes: ["dog"] }).toThrow(/"classes" was \[\]/);
    await resume({ numImages: 151 }).toThrow(/"numImages" was 150, and is 151/);
    await resume({ model: await writeTinyModel(path("retrained"), { seed: 4 }) }).toThrow(/"model" was /);
    await writeTinyModel(path("model"), { seed: 4 });
    await resume({}).toThrow(/the SHA-256 of model was/);
    await writeTinyModel(path("model")); // as it was
  });

  test("Ctrl-C: what is there is said, nothing half is left, --resume continues", async () => {
    const interrupt = new AbortController();
    const poll = setInterval(() => existsSync(shard("stopped", 0)) && interrupt.abort(), 1);
    const error = await sample("stopped", { batchSize: 8 }, interrupt.signal).catch((error: unknown) => error);
    clearInterval(poll);
    expect(error).toBe(interrupt.signal.reason);
    expect(lines.join("\n")).toMatch(/(64|128) of 150 images are in .*stopped; --resume continues/);
    expect(readdirSync(path("stopped")).sort()).toEqual(["images", "manifest.json", "shards"]);
    await sample("stopped", { resume: true, npz: true });
    expect(await contents("stopped")).toEqual(await contents("whole"));
  });

  test(`continues byte for byte after ${KILLS} SIGKILL at any time`, { timeout: KILLS_MS }, async () => {
    const args = (name: string) => [
      ...["sample", "--output", path(name), "--npz"],
      ...Object.entries({ ...base, numImages: 128 * KILLS + 22, batchSize: 8 }).flatMap(([key, value]) => [
        `--${key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`,
        String(value),
      ]),
    ];
    const workMs = await timed(args("not shot"));
    const whole = await contents("not shot");
    await killAndResume({
      out: path("shot"),
      next: () => [...args("shot"), ...(existsSync(join(path("shot"), "manifest.json")) ? ["--resume"] : [])],
      expectSame: async () => expect(await contents("shot")).toEqual(whole),
      workMs,
    });
  });
});

describe("--output", () => {
  test("is checked before the work, and replaced on request only, without what is stale", async () => {
    await cp(path("whole"), path("occupied"), { recursive: true });
    await expect(sample("occupied", { model: "nowhere" })).rejects.toThrow(
      /occupied" exists and is not empty.*--overwrite/,
    );
    await sample("occupied", { overwrite: true, numImages: 3, png: false });
    expect(Object.keys(await contents("occupied"))).toEqual(
      ["checksums.txt", "grid.png", "manifest.json", "refinement.png", "shards/00000.safetensors"], // biome-ignore format: one row
    );
    await writeFile(path("file"), "");
    await expect(sample("file", { model: "nowhere" })).rejects.toThrow(/is a file/);
    await mkdir(path("mine"));
    await writeFile(join(path("mine"), "thesis.tex"), "");
    await expect(sample("mine", { overwrite: true })).rejects.toThrow(/holds "thesis.tex"/);
  });

  test("without anything to continue", async () => {
    await expect(sample("none", { resume: true })).rejects.toThrow(/none holds no samples to continue/);
    expect(existsSync(path("none"))).toBe(false);
    await expect(sample("whole", { resume: true, overwrite: true })).rejects.toThrow(/--resume keeps what --overwrite/);
  });

  test("forms follow the flags of the last run", async () => {
    await cp(path("whole"), path("forms"), { recursive: true });
    await sample("forms", { resume: true, png: false });
    expect(readdirSync(path("forms"))).not.toContain("images");
    expect(readdirSync(path("forms"))).not.toContain("samples.npz");
    await sample("forms", { resume: true, npz: true });
    expect(await contents("forms")).toEqual(await contents("whole"));
  });
});

describe("refuses before the work", () => {
  const refused = async (settings: Record<string, unknown>) => {
    const error = (await sample("refused", settings).catch((error: Error) => error)) as Error;
    expect(error).toMatchObject({ name: "TensorARError" });
    expect(existsSync(path("refused"))).toBe(false);
    return error.message;
  };

  test("tokenizers of other codes, grids and structures", async () => {
    const codes = await writeTinyTokenizer(path("more codes"), { codes: 17 });
    expect(await refused({ tokenizer: codes })).toMatch(/model predicts 16 codes, .*more codes has 17/);
    const large = await writeTinyTokenizer(path("large"), { imageSize: 8 });
    expect(await refused({ tokenizer: large })).toMatch(
      /predicts 3 × 3 codes an image, .*large has 4 × 4 for its 8 pixels/,
    );
    expect(await refused({ temperature: [1, 2] })).toMatch(/--temperature 1,2: 2 values, .* consists of 1; give one/);
  });

  test("scales that have no effect", async () => {
    for (const scale of [0, 0.5, [2, 0.9]]) await expect(sample("refused", { scale })).rejects.toThrow(/scale/);
  });

  test("settings of drafts that do not fit the model", async () => {
    expect(await refused({ draftTemperature: [1, 2, 3] })).toMatch(
      /--draft-temperature 1,2,3: 3 values, .* give one, or 2/,
    );
    expect(await refused({ drafts: "renoise", draftRates: [0.5] })).toMatch(/--draft-rates 0.5: 1 values, .* give 2/);
    const plain = await writeTinyModel(path("plain"), { windowSize: 1 });
    expect(await refused({ model: plain, leaveOneOut: 1 })).toMatch(/--leave-one-out 1: the model has no drafts/);
  });
});

test.each(["step", "position"])("Jacobi decoding makes the same files, in fewer steps: draws by %s", async (draws) => {
  const settings = { draws, drafts: "noise", leaveOneOut: 0.5, cfgScale: 2, topK: 6, numImages: 50 };
  expect(await sample(`sequential ${draws}`, settings)).toContain("1.00 tokens a step");
  const output = await sample(`jacobi ${draws}`, { ...settings, decoding: "jacobi", parallel: 3, batchSize: 30 });
  expect(Number(/([\d.]+) tokens a step/.exec(output)![1])).toBeGreaterThan(1);
  expect(await contents(`jacobi ${draws}`)).toEqual(await contents(`sequential ${draws}`));
});

test("classes by name and by index, in turn; a name wins and says so", async () => {
  const output = await sample("classes", { classes: ["10", "dog", "0"], numImages: 5 });
  expect([...(await openSamples(path("classes"))).labels]).toEqual([2, 1, 0, 2, 1]);
  expect(output).not.toContain("note"); // there is no class of index 10
  const model = await writeTinyModel(path("numbers"), { classes: ["0", "10", "2"] });
  await expect(sample("odd", { model, classes: ["2", "1", "10"], numImages: 3 })).resolves.not.toContain("note");
  const swapped = await writeTinyModel(path("swapped"), { classes: ["1", "0", "2"] });
  const noted = await sample("noted", { model: swapped, classes: ["1"], numImages: 1 });
  expect(noted).toContain('note: --classes 1: taken as the name of class 0, not as the index of "0"');
  const twice = await writeTinyModel(path("twice"), { classes: ["owl", "crane", "crane"] });
  expect(await sample("cranes", { model: twice, classes: ["crane", "2"], numImages: 2 })).toContain(
    "note: --classes crane: classes 1 and 2 have this name; taken as 1",
  );
  expect([...(await openSamples(path("cranes"))).labels]).toEqual([1, 2]);
  for (const text of ["3", "-1", "1e0", "", "cats", "0x1"])
    await expect(sample("never", { classes: [text] })).rejects.toThrow(/--classes: .* is neither name nor index/);
});
