#!/usr/bin/env node
import { availableParallelism } from "node:os";
import { writeFileAtomic } from "@tensorar/checkpoint/node";
import * as tf from "@tensorflow/tfjs-core";
import { Command, InvalidArgumentError } from "commander";
import { benchExport } from "./bench";
import { TensorARError } from "./errors";
import { exportFolders } from "./export";
import { verifyExport } from "./verify";

const positiveInt = (text: string): number => {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new InvalidArgumentError("must be a whole number from 1 on");
  return value;
};

async function onnxRuntime(): Promise<typeof import("onnxruntime-node")> {
  try {
    return await import("onnxruntime-node");
  } catch (error) {
    throw new TensorARError(
      `ONNX Runtime can't be loaded (${(error as Error).message.split("\n")[0]}); run \`npm install onnxruntime-node\``,
    );
  }
}

/** tfjs with its gradients and its plain JavaScript backend. */
async function eagerBackend(): Promise<void> {
  await import("@tensorflow/tfjs");
  await tf.setBackend("cpu");
}

const saveJson = async (path: string | undefined, value: unknown): Promise<void> => {
  if (path !== undefined) await writeFileAtomic(path, `${JSON.stringify(value, null, 2)}\n`);
};

const program = new Command("tensorar-exporter").description("Export TensorAR models to verified ONNX.");

program
  .command("export")
  .description("write decoder.onnx, image-decoder.onnx and config.json")
  .requiredOption("--model <dir>", "model folder (base or TensorAR)")
  .requiredOption("--tokenizer <dir>", "tokenizer folder")
  .requiredOption("--out <dir>", "folder to write to")
  .action(async ({ model, tokenizer, out }: { model: string; tokenizer: string; out: string }) => {
    await eagerBackend();
    const { files } = await exportFolders(model, tokenizer, out);
    console.log(`${Object.keys(files).join(", ")} and config.json written to ${out}`);
  });

program
  .command("verify")
  .description("compare the exported graphs with the eager model on fresh random inputs")
  .argument("<dir>", "exported folder")
  .option("--seed <n>", "seed of the inputs; another one at every call when left out", (text) => positiveInt(text))
  .option("--json <file>", "also write the comparisons there")
  .action(async (dir: string, { seed, json }: { seed?: number; json?: string }) => {
    await eagerBackend();
    const comparisons = await verifyExport(dir, await onnxRuntime(), seed ?? Date.now() & 0x7fffffff);
    for (const { file, output, batch, largestDifference, largestValue } of comparisons) {
      console.log(
        `${file} ${output}, batch ${batch}: largest difference ${largestDifference.toExponential(1)} (values up to ${largestValue.toPrecision(3)})`,
      );
    }
    await saveJson(json, comparisons);
    const bad = comparisons.filter(({ withinTolerance }) => !withinTolerance);
    if (bad.length > 0)
      throw new TensorARError(`${dir}: ${bad.length} outputs differ from the eager model; export it again`);
    console.log("the export equals the eager model");
  });

program
  .command("bench")
  .description("time the exported graphs")
  .argument("<dir>", "exported folder")
  .option("--threads <n>", "threads of ONNX Runtime", positiveInt, availableParallelism())
  .option("--batch <n...>", "batch sizes", (text: string, all: number[] = []) => [...all, positiveInt(text)])
  .option("--runs <n>", "timed runs of each", positiveInt, 20)
  .option("--json <file>", "also write the timings there")
  .action(
    async (
      dir: string,
      { threads, batch = [1, 16], runs, json }: { threads: number; batch?: number[]; runs: number; json?: string },
    ) => {
      const timings = await benchExport(dir, await onnxRuntime(), { threads, batches: batch, runs });
      for (const { file, batch, milliseconds } of timings)
        console.log(`${file}, batch ${batch}: ${milliseconds.toFixed(2)} ms`);
      await saveJson(json, timings);
    },
  );

try {
  await program.parseAsync();
} catch (error) {
  if (!(error instanceof Error && error.name === "TensorARError")) throw error;
  console.error(`error: ${error.message}`);
  process.exitCode = 1;
}
