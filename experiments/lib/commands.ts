import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { flagOf } from "@tensorar/cli";
import { TensorARError } from "@tensorar/core";
import type { Settings } from "./plan";

const cli = fileURLToPath(new URL("../../apps/trainer/dist/cli.js", import.meta.url));

/** Flags of a command line: lists with commas, switches without a value. */
export const flags = (settings: Settings): string[] =>
  Object.entries(settings).flatMap(([name, value]) =>
    value === true ? [`--${flagOf(name)}`] : [`--${flagOf(name)}`, String(value)],
  );

/** Runs a command of `tensorar` in a process of its own. @throws TensorARError when it fails or is stopped */
export async function tensorar(command: string, settings: Settings): Promise<void> {
  const args = [command, ...flags(settings)];
  console.log(`\n$ tensorar ${args.join(" ")}`);
  const child = spawn(process.execPath, [cli, ...args], { stdio: "inherit" });
  const status = await new Promise<number | null>((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", resolve);
  });
  if (status !== 0)
    throw new TensorARError(`tensorar ${command} ended with ${status ?? "a signal"}; the same command goes on`);
}

/** Trains, or goes on with a training, whose result is not there yet. */
export async function trained(dir: string, command: string, settings: Settings): Promise<void> {
  if (existsSync(join(dir, "model.safetensors"))) return;
  const resume = existsSync(join(dir, "recipe.json"));
  await tensorar(command, { ...settings, output: dir, ...(resume && { resume }) });
}
