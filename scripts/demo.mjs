// The main job, as the commands that anybody could type: shipped weights in, runs/demo/report.html out.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const weights = "emoji"; // of packages/weights-emoji, by name
const run = "runs/demo";
const SAMPLES = 480;
/** What is compared: a name, a part of the weights, and how its drafts are fed back. */
const SETS = [
  ["base", "base"],
  ["control", "control"],
  ["tensorar", "tensorar"],
  ["tensorar-finetuned", "tensorar-finetuned"],
  ["tensorar-full-trust", "tensorar", "--leave-one-out 0"],
];
/** The same for all, near what validation images chose for each (docs/results.md). */
const DRAW = "--temperature 0.8 --cfg-scale 2";
/** The model of text, where it is there already. */
const textWeights = "packages/weights-emoji-text";
const PROMPTS = [
  "a noto red heart",
  "an openmoji red heart",
  "a twemoji dog face",
  "a blob dog face",
  "fluent smiling face with sunglasses",
  "waving hand medium dark skin tone in noto style",
];

const sample = (name, model, ...flags) =>
  `tensorar sample --model ${model} --tokenizer ${weights}/tokenizer --output ${run}/samples/${name} --num-images ${SAMPLES} --batch-size 120 ${DRAW} ${flags.join(" ")}`.trim();
const evaluate = (name, ...flags) =>
  `tensorar evaluate --samples ${run}/samples/${name} --reference ${run}/data --reference-split test --tokenizer ${weights}/tokenizer --output ${run}/evaluations/${name}.json ${flags.join(" ")}`.trim();
const scored = (model) => `--model ${model} --codes ${run}/codes`;

const commands = [
  `tensorar data --source emoji --size 32 --output ${run}/data`,
  `tensorar codes --data ${run}/data --tokenizer ${weights}/tokenizer --output ${run}/codes`,
  ...SETS.map(([name, part, ...flags]) => sample(name, `${weights}/${part}`, ...flags)),
  `tensorar finetune --base ${weights}/base --codes ${run}/codes --output ${run}/training/live --steps 150 --batch-size 32 --learning-rate 5e-4 --log-every 1 --warmup-steps 20 --ema-decay 0.9`,
  ...SETS.map(([name, part]) => evaluate(name, scored(`${weights}/${part}`))),
  `tensorar-exporter export --model ${weights}/tensorar --tokenizer ${weights}/tokenizer --output ${run}/export`,
  `tensorar-exporter verify ${run}/export --json ${run}/export/verification.json`,
  `tensorar-exporter bench ${run}/export --json ${run}/export/timings.json`,
];
const hasText = existsSync(join(root, textWeights, "tensorar", "config.json"));
if (hasText)
  commands.push(
    `tensorar sample --model emoji-text --prompts ${run}/prompts.txt --num-images ${4 * PROMPTS.length} --cfg-scale 3 --output ${run}/prompts`,
  );
const report = `tensorar report --run ${run} --tokenizer ${weights}/tokenizer`;

const programs = { tensorar: "apps/trainer/dist/cli.js", "tensorar-exporter": "apps/exporter/dist/cli.js" };

function execute(command) {
  const [program, ...args] = command.split(" ");
  console.log(`\n$ ${command}`);
  const begun = performance.now();
  const { status, signal } = spawnSync(process.execPath, [join(root, programs[program]), ...args], {
    cwd: root,
    stdio: "inherit",
  });
  if (status !== 0) {
    console.error(
      signal ? `stopped by ${signal}` : `the demo stopped at the command above; run it alone to look closer`,
    );
    process.exit(status ?? 1);
  }
  return (performance.now() - begun) / 1000;
}

rmSync(join(root, run), { recursive: true, force: true });
mkdirSync(join(root, run, "evaluations"), { recursive: true });
writeFileSync(join(root, run, "prompts.txt"), `${PROMPTS.join("\n")}\n`);
if (!hasText)
  console.log(`without prompts: ${textWeights} holds no weights (node scripts/emoji-text.mjs --ship makes them)`);
const begun = performance.now();
const done = commands.map((command) => ({ command, seconds: execute(command) }));
writeFileSync(join(root, run, "commands.json"), `${JSON.stringify(done, null, 2)}\n`);
execute(report);
console.log(
  `\nDone in ${((performance.now() - begun) / 60_000).toFixed(1)} minutes. Open ${join(run, "report.html")} in a browser.`,
);
