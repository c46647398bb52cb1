// Trains the models of emoji with captions: data, tokenizer, codes, base, TensorAR from the best base, and a picture of some prompts.
// Whatever stops it, the same command goes on where it was: what is whole is passed over, trainings resume at their checkpoints.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const run = "runs/emoji-text";
const configs = "apps/trainer/configs/emoji-text";

const PROMPTS = [
  "a noto red heart",
  "a blob red heart",
  "an openmoji red heart",
  "a twemoji dog face",
  "fluent smiling face with sunglasses",
  "waving hand medium dark skin tone in noto style",
  "a twemoji flag france",
  "a blue noto symbol emoji",
];

const there = (...path) => existsSync(join(root, run, ...path));

function tensorar(...args) {
  console.log(`\n$ tensorar ${args.join(" ")}`);
  const { status } = spawnSync(process.execPath, [join(root, "apps/trainer/dist/cli.js"), ...args], {
    cwd: root,
    stdio: "inherit",
  });
  if (status !== 0) process.exit(status ?? 1);
}

/** Begins or resumes a training whose result is not there yet. */
function train(name, command, ...args) {
  if (there(name, "model.safetensors")) return;
  const resume = there(name, "checkpoints") ? ["--resume"] : [];
  tensorar(command, "--config", `${configs}/${name}.json`, "--output", `${run}/${name}`, ...args, ...resume);
}

mkdirSync(join(root, run), { recursive: true });
if (!there("data", "dataset.json")) tensorar("data", "--source", "emoji-text", "--output", `${run}/data`);
train("tokenizer", "tokenizer", "--data", `${run}/data`);
if (!there("codes", "codes.json"))
  tensorar("codes", "--data", `${run}/data`, "--tokenizer", `${run}/tokenizer`, "--output", `${run}/codes`);
train("base", "pretrain", "--codes", `${run}/codes`);
train("tensorar", "finetune", "--base", `${run}/base/best`, "--codes", `${run}/codes`);
writeFileSync(join(root, run, "prompts.txt"), `${PROMPTS.join("\n")}\n`);
for (const name of ["base", "tensorar"]) {
  const model = [
    "--model",
    `${run}/${name}/best`,
    "--tokenizer",
    `${run}/tokenizer`,
    "--prompts",
    `${run}/prompts.txt`,
  ];
  const out = ["--output", `${run}/samples/${name}`, "--overwrite"];
  tensorar("sample", ...model, "--num-images", "64", "--cfg-scale", "3", ...out);
}
