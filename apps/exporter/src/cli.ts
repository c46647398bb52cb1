#!/usr/bin/env node
import "./no-telemetry";
import { availableParallelism } from "node:os";
import { TensorARError } from "@tensorar/core";
import { weightsFolder, writeFileAtomic } from "@tensorar/core/node";
import type { ExportManifest } from "@tensorar/manifest";
import { TARGETS, type Target } from "@tensorar/manifest";
import { loadRuntime } from "@tensorar/onnx/node";
import type { PerFactor } from "@tensorar/sampler";
import { Command, Option } from "commander";
import { benchExport } from "./bench";
import type { Drafts, Ramp } from "./draw-graph";
import { exportFolders } from "./export";
import { listOf, positive, positiveNumber, several, share, wholeNumber } from "./flags";
import type { WholeOptions } from "./generation-steps";
import { comparePrecision, type PrecisionOptions, type RoundedWeights } from "./precision";
import { progressLine } from "./progress";
import { eagerBackend } from "./runtimes";
import { formatTable } from "./table";
import { writeTriton } from "./triton";
import { type VerifyOptions, verifyExport } from "./verify";

const providerOption = () =>
  new Option("--provider <runtime>", "runtime to run on (default: the one that the export was made for)").choices(
    TARGETS,
  );

interface Drawing {
  readonly topK?: readonly number[];
  readonly topP?: readonly number[];
  readonly guidance: Ramp["kind"];
  readonly interval?: number;
  readonly power?: number;
  readonly drafts: Drafts["kind"];
  readonly draftTemperature?: number;
}

const ROUNDED = ["float16", "int8", "int4"] as const satisfies readonly RoundedWeights[];

interface PrecisionFlags extends Omit<PrecisionOptions, "onStep"> {
  readonly model: string;
  readonly tokenizer: string;
  readonly json?: string;
}

interface ExportFlags extends Drawing {
  readonly model: string;
  readonly tokenizer: string;
  readonly out: string;
  readonly weights: ExportManifest["weights"];
  readonly target?: Target;
  readonly triton?: string;
  readonly whole?: boolean;
}

/** One value stands for all sub-tokens. */
const oneOrAll = (values: readonly number[] | undefined, usual: number): PerFactor<number> =>
  values === undefined ? usual : values.length === 1 ? values[0]! : values;

function wholeOptions({ topK, topP, ...drawing }: Drawing): WholeOptions {
  return {
    ...{ topK: oneOrAll(topK, 0), topP: oneOrAll(topP, 1) },
    ...{ guidance: rampOf(drawing), drafts: draftsOf(drawing) },
  };
}

function rampOf({ guidance: kind, interval, power }: Drawing): Ramp {
  if (kind === "constant") return { kind };
  if (kind === "interval") {
    if (interval === undefined)
      throw new TensorARError("--guidance interval needs --interval, the last decode step that is guided");
    return { kind, interval };
  }
  if (power === undefined) throw new TensorARError("--guidance power-cosine needs --power");
  return { kind, power };
}

function draftsOf({ drafts: kind, draftTemperature: temperature }: Drawing): Drafts {
  if (kind === "raw" || kind === "renoise") return { kind, ...(temperature !== undefined && { temperature }) };
  if (temperature === undefined) return { kind };
  throw new TensorARError("--draft-temperature belongs to --drafts raw or renoise; leave it out");
}

const saveJson = async (path: string | undefined, value: unknown): Promise<void> => {
  if (path !== undefined) await writeFileAtomic(path, `${JSON.stringify(value, null, 2)}\n`);
};

const program = new Command("tensorar-exporter").description("Export TensorAR models to verified ONNX.");

program
  .command("export")
  .description("write decoder.onnx, image-decoder.onnx and config.json")
  .requiredOption("--model <dir>", "model folder (base or TensorAR)", weightsFolder)
  .requiredOption("--tokenizer <dir>", "tokenizer folder", weightsFolder)
  .requiredOption("--out <dir>", "folder to create")
  .addOption(
    new Option("--weights <format>", "number format of the decoder's matrices")
      .choices(["float32", "float16", "int8", "int4"])
      .default("float32"),
  )
  .addOption(new Option("--target <runtime>", "write for this runtime (default: for any)").choices(TARGETS))
  .option("--triton <dir>", "also write a model repository for NVIDIA Triton Inference Server there")
  .option("--whole", "also write generation.onnx: the loop, sampling and the image decoder in one graph")
  .option("--top-k <n...>", "with --whole: keep the K most likely codes; 0 keeps all", listOf(wholeNumber(0)))
  .option("--top-p <share...>", "with --whole: keep the most likely codes up to this probability", listOf(share))
  .addOption(
    new Option("--guidance <kind>", "with --whole: how guidance changes from step to step")
      .choices(["constant", "interval", "power-cosine"])
      .default("constant"),
  )
  .option("--interval <n>", "with --guidance interval: last decode step that is guided", wholeNumber(0))
  .option("--power <x>", "with --guidance power-cosine: its power", positiveNumber)
  .addOption(
    new Option("--drafts <policy>", "with --whole: how drafts are fed back, as `tensorar sample` does it")
      .choices(["raw", "renoise", "argmax", "noise"])
      .default("raw"),
  )
  .option("--draft-temperature <x>", "with --drafts raw or renoise: temperature of the drafts", positiveNumber)
  .action(async ({ model, tokenizer, out, weights, target, triton, whole, ...drawing }: ExportFlags) => {
    const options = { weights, ...(target && { target }), ...(whole && { whole: wholeOptions(drawing) }) };
    await eagerBackend();
    const { files } = await exportFolders(model, tokenizer, out, options);
    console.log(`${Object.keys(files).join(", ")} and config.json written to ${out}`);
    if (triton === undefined) return;
    const models = await writeTriton(out, triton);
    console.log(
      `models ${models.join(", ")} written to ${triton}; serve them with tritonserver --model-repository=${triton}`,
    );
  });

program
  .command("verify")
  .description("compare the exported graphs with the eager model on fresh random inputs")
  .argument("<dir>", "exported folder")
  .option("--seed <n>", "seed of the inputs; another one at every call when left out", wholeNumber(0))
  .option("--batch <n...>", "batch sizes (default: 1 and 3)", several)
  .addOption(providerOption())
  .option("--model <dir>", "model folder (default: where the export was made from)", weightsFolder)
  .option("--tokenizer <dir>", "tokenizer folder (default: where the export was made from)", weightsFolder)
  .option("--json <file>", "also write the comparisons there")
  .action(
    async (
      dir: string,
      {
        seed = Date.now(),
        batch,
        json,
        ...more
      }: { seed?: number; batch?: number[]; json?: string } & Pick<VerifyOptions, "model" | "tokenizer" | "provider">,
    ) => {
      await eagerBackend();
      const comparisons = await verifyExport(dir, loadRuntime([import.meta.url]), {
        ...more,
        seed,
        ...(batch && { batches: batch }),
      });
      const rows = comparisons.map(
        ({ file, output, batch, largestDifference, largestValue, agreement, ...verdict }) => [
          `${file} ${output}`,
          String(batch),
          largestDifference.toExponential(1),
          largestValue.toPrecision(3),
          agreement === null ? "" : `${(100 * agreement).toFixed(1)} %`,
          verdict.withinTolerance ? (verdict.rounded ? "rounded" : "equal") : "DIFFERENT",
        ],
      );
      console.log(
        formatTable(["output", "batch", "largest difference", "largest value", "same likeliest code", ""], rows),
      );
      await saveJson(json, comparisons);
      const bad = comparisons
        .filter(({ withinTolerance }) => !withinTolerance)
        .map(({ file, output }) => `${file} ${output}`);
      if (bad.length > 0) {
        throw new TensorARError(
          `${dir} differs from the eager model in ${[...new Set(bad)].join(", ")} (seed ${seed}); export it again`,
        );
      }
      const largest = Math.max(...comparisons.map(({ largestDifference }) => largestDifference));
      const relation = comparisons.some(({ rounded }) => rounded) ? "rounds the weights of" : "equals";
      console.log(
        `the export ${relation} the eager model: largest difference ${largest.toExponential(1)} (seed ${seed})`,
      );
    },
  );

program
  .command("precision")
  .description("compare number formats with float32 along images that the model draws")
  .requiredOption("--model <dir>", "model folder (base or TensorAR)", weightsFolder)
  .requiredOption("--tokenizer <dir>", "tokenizer folder", weightsFolder)
  .addOption(
    new Option("--weights <format...>", "number formats of the decoder's matrices")
      .choices(ROUNDED)
      .default(ROUNDED, "all"),
  )
  .option("--images <n>", "images to draw, each for another condition", positive, 8)
  .option("--conditions <file>", "for models of text: prompts as JSON, or captions as safetensors")
  .option("--seed <n>", "seed of the images", wholeNumber(0), 0)
  .option("--json <file>", "also write the figures there")
  .action(async ({ model, tokenizer, json, ...options }: PrecisionFlags) => {
    await eagerBackend();
    const progress = progressLine("precision");
    const onStep = (done: number, total: number, weights: string) => progress(done, total, weights);
    const gaps = await comparePrecision(model, tokenizer, loadRuntime([import.meta.url]), { ...options, onStep });
    const percent = (part: number) => `${(100 * part).toFixed(2)} %`;
    const rows = gaps.map(({ weights, of, predictions, largestDifference, divergence, sameLikeliest, sameDrawn }) => [
      ...[`${weights}, ${of}`, String(predictions), largestDifference.toPrecision(2), divergence.toExponential(1)],
      ...[percent(sameLikeliest), percent(sameDrawn)],
    ]);
    const columns = ["weights", "predictions", "largest logit difference", "mean KL"];
    console.log(formatTable([...columns, "same likeliest code", "same code drawn"], rows));
    await saveJson(json, gaps);
  });

program
  .command("bench")
  .description("time the exported graphs")
  .argument("<dir>", "exported folder")
  .option("--threads <n>", "threads of ONNX Runtime", positive, availableParallelism())
  .option("--batch <n...>", "batch sizes (default: 1 and 16)", several)
  .option("--runs <n>", "timed runs of each", positive, 20)
  .addOption(providerOption())
  .option("--json <file>", "also write the timings there")
  .action(
    async (
      dir: string,
      {
        threads,
        batch: batches = [1, 16],
        runs,
        json,
        provider,
      }: { threads: number; batch?: number[]; runs: number; json?: string; provider?: Target },
    ) => {
      const progress = progressLine("bench");
      const timings = await benchExport(dir, loadRuntime([import.meta.url]), {
        ...{ threads, batches, runs, ...(provider && { provider }) },
        onRun: (done, total, file, batch) => progress(done, total, `${file}, batch ${batch}`),
      });
      const rows = timings.map(({ file, batch, milliseconds }) => [
        file,
        String(batch),
        milliseconds.toFixed(2),
        ((1000 * batch) / milliseconds).toFixed(0),
      ]);
      console.log(formatTable(["graph", "batch", "median ms", "rows a second"], rows));
      await saveJson(json, timings);
    },
  );

try {
  await program.parseAsync();
} catch (error) {
  if (!(error instanceof TensorARError)) throw error;
  console.error(`error: ${error.message}`);
  process.exitCode = 1;
}
