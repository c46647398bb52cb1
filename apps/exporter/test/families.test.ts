import { readdirSync, statSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ModelFolder } from "@tensorar/model/node";
import * as ort from "onnxruntime-node";
import { afterAll, beforeAll, expect, test } from "vitest";
import { exportFolders, readManifest, verifyExport } from "../src/index";
import { eagerBackend } from "../src/runtimes";
import { codes, encoded, pairs, prompts, rar, text } from "./tiny-families";
import { vq, writeModel, writeTinyTokenizer } from "./tiny-folders";

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "tensorar families "));
  await eagerBackend();
});
afterAll(() => rm(dir, { recursive: true, force: true }));

const families: [ModelFolder["kind"], ModelFolder["backbone"], string[], string[]][] = [
  ["rar", rar, [], ["condition"]],
  ["llamagen", text, [], ["condition/caption", "condition/mask", "condition/dropped"]],
  ["janus", prompts, [], ["condition/prompt", "condition/mask"]],
  ["llamagen-text", encoded, [], ["condition/prompt", "condition/mask"]],
  ["magvit2", pairs, ["next-factor.onnx"], ["condition"]],
];

test.each(families)(
  "%s: all graphs of generation, equal to the eager model, with one copy of the weights",
  async (kind, config, more, read) => {
    const [model, tokenizer, out] = [`model ${kind}`, `tokenizer ${kind}`, `export ${kind}`].map((name) =>
      join(dir, name),
    ) as [string, string, string];
    await writeModel(model, 3, kind, config);
    await writeTinyTokenizer(tokenizer, { ...vq, codebook_size: kind === "magvit2" ? 32 : codes });
    const { files } = await exportFolders(model, tokenizer, out);
    const graphs = ["decoder.onnx", ...more];
    const data = graphs.length > 1 ? ["decoder.onnx.data"] : []; // a single graph holds its weights
    expect(readdirSync(out).sort()).toEqual(
      [...graphs, ...data, "checksums.txt", "config.json", "image-decoder.onnx"].sort(),
    );
    expect(await readManifest(out)).toMatchObject({ files });
    expect(files["decoder.onnx"].inputs.map(({ name }) => name).filter((name) => name.startsWith("condition"))).toEqual(
      read,
    );
    const comparisons = await verifyExport(out, ort, { seed: 4 });
    expect(new Set(comparisons.map(({ file }) => file))).toEqual(new Set([...graphs, "image-decoder.onnx"]));
    for (const { file, output, batch, withinTolerance, largestValue } of comparisons) {
      expect(withinTolerance, `${file} ${output}`).toBe(true);
      const padded = batch > 1 && ["llamagen", "llamagen-text", "janus"].includes(kind); // every other condition of these
      if (output !== "mask" || padded) expect(largestValue, `${file} ${output}`).toBeGreaterThan(0.05);
    }
    const weights = statSync(join(model, "model.safetensors")).size;
    const size = [...graphs, ...data].reduce((sum, file) => sum + statSync(join(out, file)).size, 0);
    const nodes = 150_000; // the graphs themselves; small tensors fill whole pages of the data file
    expect(size).toBeLessThan((data.length > 0 ? 2 : 1.1) * weights + nodes);
  },
);
