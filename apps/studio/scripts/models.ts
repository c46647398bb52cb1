/**
 * Writes exports of the shipped models to `models/`, which Vite serves as they are. A folder's name holds a hash of the weights,
 * so that browsers may keep it for ever; `models/models/index.json` lists them.
 */
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { copyFile, mkdir, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { exportFolders } from "@tensorar/exporter";
import * as tf from "@tensorflow/tfjs";
import type { ShippedModel, ShippedPart } from "../src/shipped";

const OUT = fileURLToPath(new URL("../models/models", import.meta.url));
const PACKAGES = fileURLToPath(new URL("../../../packages", import.meta.url));

/** What is offered: a refining model, beside the base model of its weights. */
const OFFERED = [
  { id: "emoji", name: "Emoji", weights: "weights-emoji", refined: "tensorar" },
  { id: "emoji-finetuned", name: "Emoji, fine-tuned", weights: "weights-emoji", refined: "tensorar-finetuned" },
  { id: "emoji-text", name: "Emoji from a prompt", weights: "weights-emoji-text", refined: "tensorar" },
] as const;

/** What reads prompts; models of classes have none. */
const TEXT_FILES = ["tokenizer.json", "tokenizer_config.json"];

async function exportPart(weights: string, part: string): Promise<ShippedPart> {
  const [model, tokenizer] = [part, "tokenizer"].map((name) => join(PACKAGES, weights, name)) as [string, string];
  const hash = createHash("sha256");
  for (const dir of [model, tokenizer]) hash.update(await readFile(join(dir, "model.safetensors")));
  const folder = `${weights.replace("weights-", "")}-${part}-${hash.digest("hex").slice(0, 12)}`;
  const out = join(OUT, folder);
  if (!existsSync(join(out, "config.json"))) {
    await exportFolders(model, tokenizer, out);
    for (const file of TEXT_FILES.filter((name) => existsSync(join(model, name))))
      await copyFile(join(model, file), join(out, file));
  }
  const read = (await readdir(out)).filter((file) => /^config\.json$|\.onnx/.test(file));
  const sizes = await Promise.all(read.map(async (file) => (await stat(join(out, file))).size));
  return { folder: `models/${folder}`, bytes: sizes.reduce((sum, size) => sum + size, 0) };
}

await tf.setBackend("cpu");
await mkdir(OUT, { recursive: true });
const models: ShippedModel[] = [];
for (const { id, name, weights, refined } of OFFERED) {
  if (!existsSync(join(PACKAGES, weights, refined, "model.safetensors"))) continue; // not trained yet
  models.push({ id, name, refined: await exportPart(weights, refined), base: await exportPart(weights, "base") });
}
const used = new Set(models.flatMap(({ refined, base }) => [refined.folder, base.folder]));
for (const entry of await readdir(OUT))
  if (!used.has(`models/${entry}`)) await rm(join(OUT, entry), { recursive: true });
await writeFile(join(OUT, "index.json"), `${JSON.stringify(models, null, 2)}\n`);
