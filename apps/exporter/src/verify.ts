import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import type { TensorData } from "@tensorar/checkpoint";
import { TensorARError } from "@tensorar/core";
import type { SessionSettings, Target } from "@tensorar/manifest";
import { DECODER, GENERATION, IMAGE_DECODER, NEXT_FACTOR, RESIDENT } from "@tensorar/manifest";
import { readManifest } from "@tensorar/manifest/node";
import type { OwnBackbone } from "@tensorar/model";
import type { NodeRuntime } from "@tensorar/onnx/node";
import type { AnyProgram } from "@tensorar/program";
import { type Named, openGraph } from "./open-graph";
import { addGaps, type Gap, isWithinTolerance, newGap, widen } from "./output-gaps";
import { exportedPrograms } from "./programs";
import { availableSessions } from "./providers";
import { decoderInputs, factorRandom, imageInputs } from "./random-inputs";
import { runEagerly } from "./run-eagerly";
import { loadSources, type SourceSizes } from "./sources";
import { generateBothWays } from "./verify-generation";

/** How far one output of an exported graph is from the eager model's. */
export interface Comparison {
  readonly file: string;
  readonly output: string;
  readonly batch: number;
  /** Largest |exported − eager| over all values of this output; NaN when one of them is not a number. */
  readonly largestDifference: number;
  /** Largest |eager| value, for scale. */
  readonly largestValue: number;
  /** For logits: share of all predictions whose likeliest code is the eager model's; else null. */
  readonly agreement: number | null;
  /** Weights were exported in fewer bits: any finite difference is within tolerance. */
  readonly rounded: boolean;
  readonly withinTolerance: boolean;
}

/** What an export is compared with, and on which inputs. */
export interface VerifyOptions {
  readonly seed: number;
  /** Default 1 and 3; neither is a size that the graphs were traced at. */
  readonly batches?: readonly number[];
  /** Runs on another target's provider than the one that the export was made for. */
  readonly provider?: Target;
  /** Folders of the eager model; default: where the manifest says. */
  readonly model?: string;
  readonly tokenizer?: string;
  /** The model's, where this project does not have it. */
  readonly backbone?: OwnBackbone | undefined;
  /** Stops it between two runs of a graph. */
  readonly signal?: AbortSignal;
}

/**
 * Runs both graphs of an export and the eager model, on the current tfjs backend, on the same fresh random inputs: several
 * batch sizes, and the decoder at the first, middle and last slot.
 *
 * @throws TensorARError when the export or its sources can't be read, or do not belong together; the reason of `signal` when it
 *   aborts
 */
export async function verifyExport(dir: string, runtime: NodeRuntime, options: VerifyOptions): Promise<Comparison[]> {
  const manifest = await readManifest(dir);
  const modelDir = options.model ?? sourceDir(dir, "model", manifest.model);
  const { model, tokenizer, sizes } = await loadSources(
    modelDir,
    options.tokenizer ?? sourceDir(dir, "tokenizer", manifest.tokenizer),
    options.backbone,
  );
  expectSameSizes(dir, manifest, modelDir, sizes);
  const { seed, batches = [1, 3], signal } = options;
  const sessions = await availableSessions(runtime, manifest, options.provider);
  const { programs, dispose } = exportedPrograms({ model, tokenizer, sizes });
  const inputsOf = randomInputs(sizes, seed);
  try {
    const comparisons: Comparison[] = [];
    for (const [file, program] of programs) {
      if (!(file in manifest.files)) continue;
      const rounded = file !== IMAGE_DECODER && manifest.weights !== "float32";
      const inputs = inputsOf[file]!;
      comparisons.push(...(await compareAll(dir, file, runtime, sessions, program, rounded, batches, inputs, signal)));
    }
    if (manifest.files[GENERATION]) {
      for (const batch of batches)
        comparisons.push(
          ...compareGenerated(
            batch,
            await generateBothWays(dir, manifest, model, runtime, sessions, { batch, seed, signal }),
          ),
        );
    }
    return comparisons;
  } finally {
    dispose();
  }
}

/** Inputs of each graph for a batch; of the decoder at the first, the middle and the last token that it may make final. */
function randomInputs(
  sizes: SourceSizes,
  seed: number,
): Record<string, (batch: number) => readonly Named<TensorData>[]> {
  const tokens = [...new Set([0, Math.floor(sizes.tokens / 2), sizes.tokens - 1])];
  const steps = (batch: number) => tokens.map((token) => decoderInputs(sizes, batch, token, seed));
  return {
    [DECODER]: steps,
    [RESIDENT]: steps,
    [NEXT_FACTOR]: (batch) => [factorRandom(sizes, batch, seed)],
    [IMAGE_DECODER]: (batch) => [imageInputs(sizes, batch, seed)],
  };
}

/** The folder that the manifest of the export in `dir` names. */
function sourceDir(dir: string, option: "model" | "tokenizer", path: string): string {
  const source = resolve(dir, path);
  if (existsSync(join(source, "config.json"))) return source;
  throw new TensorARError(
    `${join(source, "config.json")}: there is no such file, but ${dir} was made from there; say where it is now with --${option}`,
  );
}

/** The manifest must describe the sources: they may have been trained again, or be others. */
function expectSameSizes(dir: string, manifest: SourceSizes, modelDir: string, sizes: SourceSizes): void {
  const { dtype: _, ...cache } = manifest.cache; // the export's own
  for (const [key, value] of Object.entries(sizes)) {
    const exported = JSON.stringify({ ...manifest, cache }[key as keyof SourceSizes]);
    if (exported !== JSON.stringify(value)) {
      throw new TensorARError(
        `${dir} was not made from ${modelDir}: "${key}" is ${exported} in its config.json, ${JSON.stringify(value)} there; export it again`,
      );
    }
  }
}

async function compareAll(
  dir: string,
  file: string,
  runtime: NodeRuntime,
  sessions: Readonly<Record<string, SessionSettings>>,
  program: AnyProgram,
  rounded: boolean,
  batches: readonly number[],
  inputsOf: (batch: number) => readonly Named<TensorData>[],
  signal: AbortSignal | undefined,
): Promise<Comparison[]> {
  const graph = await openGraph(dir, file, runtime, sessions);
  try {
    const comparisons: Comparison[] = [];
    for (const batch of batches) {
      const gaps = new Map<string, Gap>();
      for (const inputs of inputsOf(batch)) {
        signal?.throwIfAborted();
        addGaps(gaps, file, runEagerly(program, inputs), await graph.run(inputs));
      }
      for (const [output, gap] of gaps) {
        const { largestDifference, largestValue, predictions, agreeing } = gap;
        const withinTolerance = rounded ? Number.isFinite(largestDifference) : isWithinTolerance(gap);
        const agreement = predictions === 0 ? null : agreeing / predictions;
        comparisons.push({ file, output, batch, largestDifference, largestValue, agreement, rounded, withinTolerance });
      }
    }
    return comparisons;
  } finally {
    await graph.dispose();
  }
}

/** The whole-generation graph against the export's own steps: the same codes, and their images. */
function compareGenerated(
  batch: number,
  { whole, stepwise }: Awaited<ReturnType<typeof generateBothWays>>,
): Comparison[] {
  return (["codes", "images"] as const).map((output) => {
    const gap = newGap();
    widen(gap, stepwise[output].data as Float32Array, whole[output].data as Float32Array);
    const within = output === "codes" ? gap.largestDifference === 0 : isWithinTolerance(gap);
    const { largestDifference, largestValue } = gap;
    return {
      ...{ file: GENERATION, output, batch, largestDifference, largestValue },
      ...{ agreement: null, rounded: false, withinTolerance: within },
    };
  });
}
