import { spawnSync } from "node:child_process";
import { mkdtemp, open, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Described, layOutZip, stateDict } from "../packages/checkpoint/test/torch-writer";
import { median } from "./lib/measure";
import { costRow, type Row, rateRow } from "./lib/row";

const WIDTH = 1280; // GPT-XL's
const HIDDEN = 3584;
const LAYERS = 22; // instead of 36: 2 GB in float32

const RUNS = 3;

const CHILD = fileURLToPath(new URL("./lib/checkpoint-child.ts", import.meta.url));

/** Peak memory and speed of converting and loading a PyTorch file of 2 GB that lies in the page cache. */
export async function* run(): AsyncGenerator<Row> {
  const folder = await mkdtemp(join(tmpdir(), "tensorar-bench-"));
  const source = join(folder, "xl.pt");
  const target = join(folder, "xl.safetensors");
  try {
    await writeModel(source);
    const { size } = await stat(source);
    const jobs = [
      ["load", "load .pt, 2 GB", source],
      ["convert", "convert .pt to safetensors", source],
      ["bfloat16", "convert .pt to bfloat16", source],
    ] as const;
    for (const [job, name, file] of jobs) {
      const runs = Array.from({ length: RUNS }, () => child([job, file, target]));
      yield rateRow(name, size / median(runs.map(({ seconds }) => seconds)) / 1e6, "MB/s");
      yield costRow(
        `${name}: peak memory / file size`,
        Math.max(...runs.map(({ peakBytes }) => peakBytes)) / size,
        "x",
      );
    }
  } finally {
    await rm(folder, { recursive: true });
  }
}

function child(args: readonly string[]): { seconds: number; peakBytes: number } {
  const options = ["--conditions=@tensorar/source", "--import", import.meta.resolve("tsx"), CHILD, ...args];
  const { status, stdout, stderr } = spawnSync(process.execPath, options, { encoding: "utf8" });
  if (status !== 0) throw new Error(`the measured process failed: ${stderr}`);
  return JSON.parse(stdout) as { seconds: number; peakBytes: number };
}

/** A state dictionary under `model`, in a zip file as torch.save writes it. */
async function writeModel(path: string): Promise<void> {
  const layer = (i: number): [string, number[]][] => [
    [`layers.${i}.attention.wqkv.weight`, [3 * WIDTH, WIDTH]],
    [`layers.${i}.attention.wo.weight`, [WIDTH, WIDTH]],
    [`layers.${i}.feed_forward.w1.weight`, [HIDDEN, WIDTH]],
    [`layers.${i}.feed_forward.w3.weight`, [HIDDEN, WIDTH]],
    [`layers.${i}.feed_forward.w2.weight`, [WIDTH, HIDDEN]],
    [`layers.${i}.attention_norm.weight`, [WIDTH]],
    [`layers.${i}.ffn_norm.weight`, [WIDTH]],
  ];
  const shapes: [string, number[]][] = [
    ["cls_embedding.embedding_table.weight", [1001, WIDTH]],
    ["tok_embeddings.weight", [16384, WIDTH]],
    ...Array.from({ length: LAYERS }, (_, i) => layer(i)).flat(),
    ["norm.weight", [WIDTH]],
    ["output.weight", [16384, WIDTH]],
  ];
  const tensors = shapes.map(([name, shape], i): Described => {
    const storageElements = shape.reduce((product, size) => product * size, 1);
    return { name, key: String(i), type: "FloatStorage", storageElements, shape };
  });
  const pickle = stateDict(tensors, "model");
  const { headers, contents, tail } = layOutZip([
    { name: "xl/data.pkl", bytes: pickle.byteLength },
    ...tensors.map(({ key, storageElements }) => ({ name: `xl/data/${key}`, bytes: 4 * storageElements })),
  ]);
  const block = new Uint8Array(Float32Array.from({ length: 2 ** 22 }, (_, i) => Math.sin(i)).buffer);
  const handle = await open(path, "w");
  for (const { bytes, offset } of [...headers, tail]) await handle.write(bytes, 0, bytes.byteLength, offset);
  await handle.write(pickle, 0, pickle.byteLength, contents[0]);
  for (const [i, { storageElements }] of tensors.entries()) {
    const bytes = 4 * storageElements;
    for (let at = 0; at < bytes; at += block.byteLength) {
      await handle.write(block, 0, Math.min(block.byteLength, bytes - at), contents[i + 1]! + at);
    }
  }
  await handle.sync(); // or writing it back would go on while reading is timed
  await handle.close();
}
