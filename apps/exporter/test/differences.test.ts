import { copyFileSync, cpSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readSafetensors } from "@tensorar/checkpoint/node";
import * as ort from "onnxruntime-node";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Comparison, exportFolders, type VerifyOptions, verifyExport } from "../src/index";
import { eagerBackend } from "../src/runtimes";
import { runCli } from "./run-cli";
import { writeTinyModel, writeTinyTokenizer } from "./tiny-folders";

let dir: string;
const at = (...names: string[]) => join(dir, ...names);

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "tensorar-differences-"));
  await eagerBackend();
  await writeTinyTokenizer(at("tokenizer"));
  await writeTinyModel(at("model"), 3);
  await exportFolders(at("model"), at("tokenizer"), at("whole"));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

/** Changes one weight in a file, found by the bytes of it and those behind it. */
async function damage(path: string, source: string, weight: string, change: (value: number) => number): Promise<void> {
  const { data } = (await readSafetensors(at(source, "model.safetensors")))[weight]!;
  const file = readFileSync(path);
  const start = file.indexOf(Buffer.from(data.buffer, data.byteOffset, data.byteLength));
  expect(start).toBeGreaterThan(0);
  file.writeFloatLE(change(file.readFloatLE(start)), start);
  writeFileSync(path, file);
}

const copyOf = (name: string): string => {
  cpSync(at("whole"), at(name), { recursive: true });
  return at(name);
};

const verify = (exported: string, options: Partial<VerifyOptions> = {}): Promise<Comparison[]> =>
  verifyExport(exported, ort, { seed: 1, ...options });

const different = (comparisons: readonly Comparison[]): string[] => [
  ...new Set(
    comparisons.filter(({ withinTolerance }) => !withinTolerance).map(({ file, output }) => `${file} ${output}`),
  ),
];

describe("verify tells", () => {
  test("that a weight changed, by exit status, message and JSON", async () => {
    const exported = copyOf("damaged");
    await damage(join(exported, "decoder.onnx"), "model", "output.weight", (value) => value + 0.01);
    const { status, stdout, stderr } = await runCli(
      ...["verify", exported, "--seed", "1", "--json", at("damaged.json")],
    );
    expect(status).toBe(1);
    expect(stderr).toBe(
      `error: ${exported} differs from the eager model in decoder.onnx logits (seed 1); export it again\n`,
    );
    expect(stdout).toMatch(/decoder\.onnx logits .*DIFFERENT/);
    expect(stdout).toMatch(/decoder\.onnx rows .*equal/);
    expect(different(JSON.parse(readFileSync(at("damaged.json"), "utf8")))).toEqual(["decoder.onnx logits"]);
  });

  test("in which graph, and also for a weight that is not a number", async () => {
    const image = copyOf("damaged image decoder");
    await damage(join(image, "image-decoder.onnx"), "tokenizer", "decoder.conv_out.bias", (value) => value + 0.01);
    expect(different(await verify(image))).toEqual(["image-decoder.onnx images"]);

    const nan = copyOf("not a number");
    await damage(join(nan, "decoder.onnx"), "model", "norm.weight", () => Number.NaN);
    const comparisons = await verify(nan);
    expect(different(comparisons)).toEqual(["decoder.onnx logits"]);
    expect(comparisons.filter(({ largestDifference }) => Number.isNaN(largestDifference)).length).toBeGreaterThan(0);
  });

  test("that the model was trained on since, or is of another size", async () => {
    await writeTinyModel(at("other size"), 2);
    await expect(verify(at("whole"), { model: at("other size") })).rejects.toThrow(
      /"windowSize" is 3 in its config.json, 2 there; export it again/,
    );
    cpSync(at("model"), at("trained on"), { recursive: true });
    rmSync(at("trained on", "checksums.txt")); // or the model's own folder is refused
    await damage(at("trained on", "model.safetensors"), "model", "norm.weight", (value) => 1.1 * value);
    expect(different(await verify(at("whole"), { model: at("trained on") }))).toEqual(["decoder.onnx logits"]);
  });

  test("that a graph is another export's, or cut", async () => {
    await writeTinyModel(at("wide"), 3, { dim: 64 });
    await exportFolders(at("wide"), at("tokenizer"), at("wide export"));
    const exported = copyOf("mixed");
    const graph = join(exported, "decoder.onnx");
    copyFileSync(at("wide export", "decoder.onnx"), graph);
    await expect(verify(exported)).rejects.toThrow(
      /decoder\.onnx: input "keys\/0" is float32 .* takes float32 .*; export it again/,
    );
    writeFileSync(graph, readFileSync(graph).subarray(0, 1000));
    await expect(verify(exported)).rejects.toThrow(`${graph}: ONNX Runtime can't open the model`);
  });
});
