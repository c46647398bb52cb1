// Trains the models of emoji with captions, and says what they can: data, tokenizer, codes, base, TensorAR and its control from the
// best base, a classifier of real images, samples of seen and held-out prompts, evaluations, one file of results and one picture.
// Whatever stops it, the same command goes on where it was: what is whole is passed over, trainings and samples are resumed.
// With --ship the models are copied to packages/weights-emoji-text.
import { spawnSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const run = "runs/emoji-text";
const configs = "apps/trainer/configs/emoji-text";
const shipped = "packages/weights-emoji-text";

/** Those of the picture. */
const SHOWN = [
  "a noto red heart",
  "a blob red heart",
  "an openmoji red heart",
  "a twemoji dog face",
  "fluent smiling face with sunglasses",
  "waving hand medium dark skin tone in noto style",
  "a twemoji flag france",
  "a blue noto symbol emoji",
];
/** Prompts of each kind that the models are scored with. */
const SCORED = 512;
const MODELS = ["base", "control", "tensorar"];
const SCALE = "3";

const at = (...path) => [run, ...path].join("/");
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
  const resume = there(name, "recipe.json") ? ["--resume"] : [];
  tensorar(command, "--config", `${configs}/${name}.json`, "--output", at(name), ...args, ...resume);
}

/** Captions of a split, evenly taken, one of each image in turn of its several. */
function captionsOf(split) {
  const lines = readFileSync(join(root, run, "data", "samples.jsonl"), "utf8")
    .trimEnd()
    .split("\n");
  const images = lines.map((line) => JSON.parse(line)).filter((image) => image.split === split);
  const step = Math.max(1, images.length / SCORED);
  return Array.from({ length: Math.min(SCORED, images.length) }, (_, i) => {
    const { caption, otherCaptions = [] } = images[Math.floor(i * step)];
    const naming = [caption, ...otherCaptions].slice(0, NAMING); // the later ones name the group alone
    return naming[i % naming.length];
  });
}
const NAMING = 4;

/** Draws samples of a model, one for each prompt. */
function sample(model, set) {
  const output = at("samples", `${model}-${set}`);
  if (there("samples", `${model}-${set}`, "checksums.txt")) return;
  const prompts = at(`prompts-${set}.txt`);
  const count = readFileSync(join(root, prompts), "utf8").trimEnd().split("\n").length;
  const resume = there("samples", `${model}-${set}`, "manifest.json") ? ["--resume"] : [];
  const drawn = ["--prompts", prompts, "--num-images", String(count), "--cfg-scale", SCALE, "--output", output];
  tensorar("sample", "--model", at(model, "best"), "--tokenizer", at("tokenizer"), ...drawn, ...resume);
}

/** Scores the samples of a model, and its predictions on images of a split. */
function evaluate(model, set, split) {
  const output = at("evaluations", `${model}-${set}.json`);
  if (existsSync(join(root, output))) return;
  const samples = ["--samples", at("samples", `${model}-${set}`), "--reference", at("data")];
  const scorers = ["--classifier", at("classifier"), "--tokenizer", at("tokenizer")];
  const predictions = ["--model", at(model, "best"), "--codes", at("codes"), "--split", split];
  tensorar("evaluate", ...samples, ...scorers, ...predictions, "--output", output);
}

/** A row of results: what seen prompts give, and of held-out ones what their names say. */
function rowOf(model) {
  const read = (set) => JSON.parse(readFileSync(join(root, at("evaluations", `${model}-${set}.json`)), "utf8"));
  const [seen, heldOut] = [read("seen"), read("heldOut")];
  const ofHeldOut = Object.entries(heldOut).filter(([key]) => key.startsWith("heldOut"));
  const { settings: _settings, images: _images, refinement, draftAblation, ...scores } = seen;
  const crossEntropy = draftAblation.noisedTruth.crossEntropy[0];
  const heldOutCrossEntropy = heldOut.draftAblation.noisedTruth.crossEntropy[0];
  return {
    model,
    ...scores,
    ...Object.fromEntries(ofHeldOut),
    crossEntropy,
    heldOutCrossEntropy,
    ...(refinement?.flipRate !== undefined && { flipRate: refinement.flipRate }),
    scale: Number(SCALE),
  };
}

/** The same prompts and random numbers by every model, a row each. */
async function drawPicture() {
  const data = createRequire(join(root, "apps/trainer/package.json")).resolve("@tensorar/data");
  const { imageGrid, openSamples, savePng } = await import(pathToFileURL(data).href);
  const sets = await Promise.all(MODELS.map((model) => openSamples(join(root, at("samples", `${model}-shown`)))));
  const rows = await Promise.all(sets.map((set) => set.read(0, SHOWN.length)));
  const captions = MODELS.flatMap((model) => SHOWN.map((prompt) => `${model}: ${prompt}`));
  const shape = { count: captions.length, height: sets[0].imageSize, width: sets[0].imageSize };
  const images = new Uint8Array(Buffer.concat(rows.map((row) => row.images)));
  const png = await imageGrid(images, { ...shape, columns: SHOWN.length, scale: 4, captions });
  await savePng(join(root, at("models.png")), png);
}

/** Copies what `sample --model emoji-text` and `evaluate --classifier emoji-text` take. */
function ship() {
  const parts = { tokenizer: "tokenizer", classifier: "classifier", base: "base/best", tensorar: "tensorar/best" };
  for (const [part, from] of Object.entries(parts)) {
    mkdirSync(join(root, shipped, part), { recursive: true });
    for (const file of ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"])
      if (there(from, file)) copyFileSync(join(root, run, from, file), join(root, shipped, part, file));
  }
  console.log(`models copied to ${shipped}`);
}

mkdirSync(join(root, run, "evaluations"), { recursive: true });
if (!there("data", "dataset.json")) tensorar("data", "--source", "emoji-text", "--output", at("data"));
train("tokenizer", "tokenizer", "--data", at("data"));
if (!there("codes", "codes.json"))
  tensorar("codes", "--data", at("data"), "--tokenizer", at("tokenizer"), "--output", at("codes"));
train("base", "pretrain", "--codes", at("codes"));
for (const name of ["control", "tensorar"])
  train(name, "finetune", "--base", at("base", "best"), "--codes", at("codes"));
train("classifier", "classifier", "--data", at("data"));

const prompts = { shown: SHOWN, seen: captionsOf("train"), heldOut: captionsOf("combinations") };
for (const [set, texts] of Object.entries(prompts))
  writeFileSync(join(root, at(`prompts-${set}.txt`)), `${texts.join("\n")}\n`);
for (const model of MODELS) {
  for (const set of Object.keys(prompts)) sample(model, set);
  evaluate(model, "seen", "validation");
  evaluate(model, "heldOut", "combinations");
}
writeFileSync(join(root, at("results.json")), `${JSON.stringify(MODELS.map(rowOf), null, 2)}\n`);
await drawPicture();
console.log(`\nresults in ${at("results.json")}, a picture in ${at("models.png")}`);
if (process.argv.includes("--ship")) ship();
