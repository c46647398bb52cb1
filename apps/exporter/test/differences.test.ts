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
    expect(comparisons.filter(({ maxAbsError }) => Number.isNaN(maxAbsError)).length).toBeGreaterThan(0);
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

describe.each([
  ["float16", undefined],
  ["float16", "webgpu"],
  ["int8", undefined],
  ["int4", "cpu"],
] as const)("weights in %s for target %s", (weights, target) => {
  const name = `${weights} ${target}`;
  const options = { weights, ...(target && { target }) };
  const provider = { provider: "cpu" } as const; // computes in half precision as well, with casts between its operators

  beforeAll(async () => {
    await exportFolders(at("model"), at("tokenizer"), at(name), options);
  });

  test("verify finds them equal to the model's own quantized alike, and says what they cost", async () => {
    const comparisons = await verify(at(name), provider);
    expect(different(comparisons)).toEqual([]);
    const ofLogits = comparisons.filter(({ output }) => output === "logits");
    expect(ofLogits.length).toBeGreaterThan(0);
    for (const { quantized, loss } of ofLogits) {
      expect(quantized).toBe(true);
      expect(loss!.kl).toBeGreaterThan(0);
      expect(loss!.withinThreshold).toBe(true);
    }
    for (const { output, loss } of comparisons) if (output !== "logits") expect(loss).toBeNull();
  });

  test("verify tells that bytes of weights are flipped", async () => {
    // Where a weight lies is where the export of a model differs that has others in its place.
    cpSync(at("model"), at(`${name} other`), { recursive: true });
    rmSync(at(`${name} other`, "checksums.txt"));
    const { data } = (await readSafetensors(at("model", "model.safetensors")))["output.weight"]!;
    const own = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
    const changed = Float32Array.from(data as Float32Array, (value) => 0.7 - value);
    const weightsFile = at(`${name} other`, "model.safetensors");
    const bytes = readFileSync(weightsFile);
    Buffer.from(changed.buffer).copy(bytes, bytes.indexOf(own));
    writeFileSync(weightsFile, bytes);
    await exportFolders(at(`${name} other`), at("tokenizer"), at(`${name} of other`), options);
    const file = "decoder.onnx"; // small weights lie in the graph itself, even beside a file of weights
    const [right, other] = [readFileSync(at(name, file)), readFileSync(at(`${name} of other`, file))];
    expect(other.length).toBe(right.length);
    const places = [...right.keys()].filter((i) => right[i] !== other[i]);
    expect(places.length).toBeGreaterThan(10);
    cpSync(at(name), at(`${name} damaged`), { recursive: true });
    // The high byte of a float16, or some code; never that of a scale, which a few codes share.
    for (const place of places.slice(0, 8)) right[place] = right[place]! ^ 0x0f;
    writeFileSync(at(`${name} damaged`, file), right);
    expect(different(await verify(at(`${name} damaged`), provider))).toContain("decoder.onnx logits");
  });
});

test("garbage in place of weights in fewer bits ends with status 1; a loss that is too large does, too", async () => {
  await exportFolders(at("model"), at("tokenizer"), at("garbage"), { weights: "int4" });
  const run = (...more: string[]) => runCli("verify", at("garbage"), "--seed", "1", ...more);
  const strict = await run("--max-kl", "0.0000001");
  expect(strict.status).toBe(1);
  expect(strict.stderr).toMatch(/loses more than 1e-7 nats against full precision in decoder\.onnx logits .*--max-kl/);
  const right = await run();
  expect(right.status, right.stderr).toBe(0);
  expect(right.stdout).toMatch(/^decoder\.onnx logits +1 +.* equal$/m);
  expect(right.stdout).toMatch(/^decoder\.onnx logits +1 +.* accepted$/m);
  expect(right.stdout).toMatch(/equals the eager model with its weights quantized alike/);
  const file = readFileSync(at("garbage", "decoder.onnx"));
  const name = file.lastIndexOf("feed_forward.w2.weight.codes"); // of the tensor itself, whose bytes follow it
  expect(name).toBeGreaterThan(0);
  file.fill(0x5a, name + 64, name + 400);
  writeFileSync(at("garbage", "decoder.onnx"), file);
  const garbage = await run();
  expect(garbage.status).toBe(1);
  expect(garbage.stderr).toMatch(/differs from the eager model with its weights quantized alike in decoder\.onnx/);
});
