import { existsSync } from "node:fs";
import { appendFile, cp, mkdir, readdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { temporaryFolder } from "../../../packages/data/test/data-helpers";
import { writeTinyCodes } from "../../../packages/data/test/tiny-codes";
import { writeTinyDataset } from "../../../packages/data/test/tiny-dataset";
import { KILLS, KILLS_MS, killAndResume, timed } from "./kills";
import { runCli, spawnCli } from "./run-cli";

/** One more than a multiple of the steps between checkpoints; several of those for each kill. */
const STEPS = 15 * KILLS + 1;
/** Far below the norms of these models' gradients, so that every step is scaled by them. */
const CLIP = 0.01;

const dir = temporaryFolder();
const at = (...parts: string[]) => join(dir, ...parts);
const training = (command: string, out: string, settings: Record<string, string | number>) => [
  ...[
    command,
    "--output",
    at(out),
    "--engine",
    "onnx",
    "--threads",
    "2",
    "--clip",
    String(CLIP),
    "--steps",
    String(STEPS),
  ],
  ...["--batch-size", "4", "--warmup-steps", "3", "--checkpoint-every", "3", "--log-every", "1"],
  ...Object.entries(settings).flatMap(([key, value]) => [`--${key}`, String(value)]),
];
const COMMANDS: Record<string, (out: string) => string[]> = {
  tokenizer: (out) =>
    training("tokenizer", out, { data: at("data"), "codebook-size": 16, "channel-multipliers": "1,1", channels: 32 }),
  pretrain: (out) => training("pretrain", out, { codes: at("codes"), width: 32, layers: 2, heads: 2 }),
  finetune: (out) =>
    training("finetune", out, {
      codes: at("codes"),
      base: at("pretrain"),
      "window-size": 3,
      inputs: "self",
      "draft-steps": 0, // alone, fresh draft heads have gradients that are not clipped
    }),
};
const pretrain = (out: string, ...more: string[]) => [...COMMANDS.pretrain!(out), ...more];

const logOf = async (run: string) => {
  const lines = (await readFile(at(run, "log.jsonl"), "utf8")).trim().split("\n");
  return lines.map((line) => JSON.parse(line) as Record<string, number>).map(({ ms: _, ...entry }) => entry);
};
const stepFolder = (step: number) => `step-${String(step).padStart(8, "0")}`;
const stateFile = (run: string, step: number) => at(run, "checkpoints", stepFolder(step), "state.safetensors");

/** All that a run leaves, but for times. */
async function expectSameRun(run: string, whole: string): Promise<void> {
  for (const file of ["model.safetensors", "config.json", "checksums.txt"])
    expect((await readFile(at(run, file))).equals(await readFile(at(whole, file))), file).toBe(true);
  expect((await readFile(stateFile(run, STEPS))).equals(await readFile(stateFile(whole, STEPS)))).toBe(true);
  expect(await logOf(run)).toEqual(await logOf(whole));
}

async function flipBit(path: string): Promise<void> {
  const bytes = await readFile(path);
  bytes[bytes.length - 3]! ^= 2;
  await writeFile(path, bytes);
}

beforeAll(async () => {
  await Promise.all([writeTinyCodes(at("codes")), writeTinyDataset(at("data"))]);
});

describe.each(["tokenizer", "pretrain", "finetune"])("%s", (name) => {
  test(`continues bit for bit after ${KILLS} SIGKILL at any time`, { timeout: KILLS_MS }, async () => {
    const args = COMMANDS[name]!;
    const workMs = await timed(args(name));
    expect(Math.min(...(await logOf(name)).map(({ gradNorm }) => gradNorm!))).toBeGreaterThan(CLIP);

    const run = `${name} killed`;
    const next = () => (existsSync(at(run, "recipe.json")) ? [...args(run), "--resume"] : args(run));
    await killAndResume({ out: at(run), next, expectSame: () => expectSameRun(run, name), workMs });
    expect((await readdir(at(run))).filter((file) => file.startsWith(".") || file.includes("tmp"))).toEqual([]);
    expect(await readdir(at(run, "checkpoints"))).toEqual([stepFolder(STEPS - 1), stepFolder(STEPS)]);
  });
});

describe("damage", () => {
  /** A copy of the run of `pretrain`, resumed after `damage` was done to its newest checkpoint. */
  const afterDamage = async (run: string, damage: (newest: string) => Promise<void>) => {
    await cp(at("pretrain"), at(run), { recursive: true });
    await damage(at(run, "checkpoints", stepFolder(STEPS)));
    const result = await runCli(pretrain(run, "--resume"));
    await expectSameRun(run, "pretrain");
    return result;
  };

  test("of the newest checkpoint, the log, and leftovers of kills: the one before is taken, and it is said", async () => {
    const { status, output } = await afterDamage("flipped", async (newest) => {
      await flipBit(join(newest, "state.safetensors"));
      await mkdir(at("flipped", "checkpoints", stepFolder(STEPS + 1))); // empty
      const log = at("flipped", "log.jsonl");
      const lines = (await readFile(log, "utf8")).split("\n");
      lines[STEPS - 1] = '{"step": 16, "loss": "\u0000}';
      await writeFile(log, lines.join("\n"));
      await appendFile(log, '{"step": 17, "lo');
    });
    expect({ status, output }).toMatchObject({ status: 0 });
    expect(output).toContain(
      `damaged checkpoint: ${stateFile("flipped", STEPS)}: other contents than checksums.txt lists`,
    );
    expect(output).toContain(`damaged checkpoint: ${at("flipped", "checkpoints", stepFolder(STEPS + 1))}`);
    expect(output).toContain(`going on from the one before, step ${STEPS - 1}`);
    expect(output).toMatch(new RegExp(`left out .*log\\.jsonl, line ${STEPS}\\b`));
    expect(await readdir(at("flipped", "checkpoints"))).toEqual([stepFolder(STEPS - 1), stepFolder(STEPS)]);
  });

  test("of a line of the log before the checkpoint: that line is lost, which is said, and all else is as it was", async () => {
    await cp(at("pretrain"), at("lost"), { recursive: true });
    await flipBit(join(at("lost", "checkpoints", stepFolder(STEPS)), "state.safetensors")); // back to the one before
    const log = at("lost", "log.jsonl");
    const lines = (await readFile(log, "utf8")).split("\n");
    lines[13] = '{"step": 14, "loss": "\u0000}';
    await writeFile(log, lines.join("\n"));
    const { status, output } = await runCli(pretrain("lost", "--resume"));
    expect(status, output).toBe(0);
    expect(output).toMatch(/left out .*log\.jsonl, line 14/);
    const whole = await logOf("pretrain");
    expect(await logOf("lost")).toEqual([...whole.slice(0, 13), ...whole.slice(14)]);
    const weights = (run: string) => readFile(at(run, "model.safetensors"));
    expect((await weights("lost")).equals(await weights("pretrain"))).toBe(true);
  });

  test("of every checkpoint is an error that says so", async () => {
    const run = "all damaged";
    await cp(at("pretrain"), at(run), { recursive: true });
    await rm(at(run, "checkpoints", stepFolder(STEPS - 1), "state.json"));
    await truncate(stateFile(run, STEPS), 1000);
    const { status, output } = await runCli(pretrain(run, "--resume"));
    expect(status).toBe(1);
    expect(output).toMatch(/every checkpoint is damaged \(.*1000 bytes in place of \d+.*state\.json is missing/);
    expect(output).not.toMatch(/\n\s+at /);
    expect(await runCli(pretrain(run, "--overwrite"))).toMatchObject({ status: 0 });
    await expectSameRun(run, "pretrain");
  });
});

describe("signals and locks", () => {
  test.each(["SIGINT", "SIGTERM"] as const)("%s leaves a checkpoint and says how to go on", async (signal) => {
    const run = `stopped by ${signal}`;
    const args = pretrain(run).map((arg, i, all) => (all[i - 1] === "--steps" ? "100000" : arg));
    const { status, output } = await spawnCli(args, { when: /base model.* 1\//, signal });
    expect({ status, output }).toMatchObject({ status: signal === "SIGINT" ? 130 : 143 });
    expect(output).toMatch(/stopped at step \d+; continue with --resume/);
    const step = Number(/stopped at step (\d+)/.exec(output)?.[1]);
    expect(await readdir(at(run, "checkpoints"))).toContain(stepFolder(step));
  });

  test("two runs in one folder exclude each other", async () => {
    const run = "twice";
    const args = pretrain(run).map((arg, i, all) => (all[i - 1] === "--steps" ? "100000" : arg));
    const first = spawnCli(args);
    const started = Date.now();
    while (!existsSync(at(run, "recipe.json")) && Date.now() - started < 60_000)
      await new Promise((resolve) => setTimeout(resolve, 50));
    const { status, output } = await runCli([...args, "--resume"]);
    const lock = (await readdir(at(run))).find((name) => name.startsWith(".lock-"))!;
    process.kill(Number(/\d+/.exec(lock)![0]), "SIGKILL");
    await first;
    expect(status).toBe(1);
    expect(output).toMatch(/is locked: process \d+ works on it/);
    const after = await runCli([...pretrain(run), "--overwrite"]); // the lock of a killed process counts for nothing
    expect(after).toMatchObject({ status: 0 });
  });
});

describe("runs are not overwritten or mixed up", () => {
  const refused = async (args: readonly string[]): Promise<string> => {
    const { status, output } = await runCli(args);
    expect(status, output).toBe(1);
    expect(output).not.toMatch(/\n\s+at /);
    return output;
  };

  test("an existing run needs --resume or --overwrite, and keeps its recipe and its steps", async () => {
    expect(await refused(pretrain("pretrain"))).toContain("already holds a run");
    expect(await refused(pretrain("pretrain", "--resume", "--learning-rate", "0.5"))).toMatch(
      /learningRate was 0.001, now 0.5/,
    );
    const fewer = pretrain("pretrain", "--resume").map((arg, i, all) => (all[i - 1] === "--steps" ? "10" : arg));
    expect(await refused(fewer)).toContain(`has done ${STEPS} steps already, more than --steps 10`);
  });

  test("there must be something to resume, and a model of another command is never replaced", async () => {
    expect(await refused(pretrain("mistyped", "--resume"))).toMatch(/mistyped: there is nothing to resume/);
    expect(existsSync(at("mistyped"))).toBe(false);
    await mkdir(at("model"));
    await writeFile(at("model", "model.safetensors"), "");
    expect(await refused(pretrain("model", "--overwrite"))).toMatch(/which is of another command/);
  });
});
