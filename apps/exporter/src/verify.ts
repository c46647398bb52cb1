import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import type { TensorData } from "@tensorar/checkpoint";
import { TensorARError } from "@tensorar/core";
import type { Target } from "@tensorar/manifest";
import { DECODER, DEVICE_RESIDENT, GENERATION, IMAGE_DECODER, NEXT_SUB_TOKEN } from "@tensorar/manifest";
import { readManifest } from "@tensorar/manifest/node";
import type { OwnBackbone } from "@tensorar/model";
import type { NodeRuntime } from "@tensorar/onnx/node";
import type { AnyProgram } from "@tensorar/program";
import { createCategorical } from "@tensorar/sampler";
import { type LogitGap, logitGap } from "./logit-gap";
import { type Named, type OpenGraph, openGraph } from "./open-graph";
import { type Arithmetic, addGaps, type Gap, isWithinTolerance, LOGITS, newGap, widen } from "./output-gaps";
import { exportedPrograms } from "./programs";
import { availableSessions } from "./providers";
import { quantizedPrograms } from "./quantized-programs";
import { decoderInputs, factorRandom, imageInputs } from "./random-inputs";
import { listOf, runEagerly } from "./run-eagerly";
import { loadSources, type SourceSizes } from "./sources";
import { requiredTextEncoder } from "./text-encoder";
import { generateBothWays } from "./verify-generation";

/** How far one output of an exported graph is from the eager model's. */
export interface Comparison {
  readonly file: string;
  readonly output: string;
  readonly batch: number;
  /** Largest |exported − eager| over all values of this output; NaN when one of them is not a number. */
  readonly maxAbsError: number;
  /** Largest |eager| value, for scale. */
  readonly largestValue: number;
  /** For logits: fraction of all predictions whose top-1 code is the eager model's; else null. */
  readonly agreement: number | null;
  /** Weights were exported in fewer bits: the eager model's are rounded alike. */
  readonly rounded: boolean;
  readonly withinTolerance: boolean;
  /** For logits of weights in fewer bits: what those cost; else null. */
  readonly loss: Loss | null;
}

/** How far the export, as it runs, is from the eager model in full precision. */
export interface Loss extends Pick<LogitGap, "maxAbsError" | "kl" | "sameTop1"> {
  readonly withinThreshold: boolean;
}

/**
 * Mean KL in nats that fewer bits may cost. On random inputs int4 costs the emoji model 0.2 and int8 0.002; logits that have
 * nothing to do with the model's cost several nats.
 */
const MAX_KL = 1;

/** What an export is compared with, and on which inputs. */
export interface VerifyOptions {
  readonly seed: number;
  /** Default 1 and 3; neither is a size that the graphs were traced at. */
  readonly batches?: readonly number[];
  /** Runs on another target's provider than the one that the export was made for. */
  readonly provider?: Target;
  /** Mean KL(full precision ‖ export) in nats that weights in fewer bits may cost; default 1. */
  readonly maxKl?: number;
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
 * batch sizes, and the decoder at the first, middle and last position. An export in fewer bits is compared with the eager model of
 * weights that are rounded alike, at the tolerance of the arithmetic that it computes in, and its activations in that, too; what it
 * loses against full precision as it is run is a figure of its own, with a threshold.
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
  const { seed, batches = [1, 3], maxKl = MAX_KL, signal } = options;
  const sessions = await availableSessions(runtime, manifest, options.provider);
  const sources = { model, tokenizer, sizes };
  const textEncoder = manifest.generation?.textEncoder && (await requiredTextEncoder(modelDir, model));
  const full = exportedPrograms(sources);
  const rounded = manifest.weights === "float32" ? undefined : await quantizedPrograms(dir, manifest, sources);
  const inputsOf = randomInputs(sizes, seed);
  try {
    const comparisons: Comparison[] = [];
    for (const [file, program] of full.programs) {
      if (!(file in manifest.files)) continue;
      const inputs = batches.map((batch) => ({ batch, inputs: inputsOf[file]!(batch) }));
      const arithmetic = manifest.cache.dtype === "float16" && file !== IMAGE_DECODER ? "float16" : "float32";
      const open = (floatActivations: boolean) => openGraph(dir, file, runtime, sessions, { floatActivations });
      const reference = file === IMAGE_DECODER ? undefined : rounded?.programs.get(file);
      const found = await compareAll(file, () => open(reference !== undefined && arithmetic === "float32"), {
        program: reference ?? program,
        rounded: reference !== undefined,
        arithmetic,
        inputs,
        signal,
      });
      const losses = reference
        ? await lossesOf(file, () => open(false), { program, inputs, maxKl, signal })
        : undefined;
      comparisons.push(
        ...found.map((each) => ({ ...each, loss: (each.output === LOGITS && losses?.get(each.batch)) || null })),
      );
    }
    if (manifest.files[GENERATION]) {
      for (const batch of batches)
        comparisons.push(
          ...compareGenerated(
            batch,
            await generateBothWays(dir, manifest, runtime, sessions, { batch, seed, signal, textEncoder }),
          ),
        );
    }
    return comparisons;
  } finally {
    full.dispose();
    rounded?.dispose();
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
    [DEVICE_RESIDENT]: steps,
    [NEXT_SUB_TOKEN]: (batch) => [factorRandom(sizes, batch, seed)],
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

interface Run {
  readonly program: AnyProgram;
  readonly inputs: readonly { readonly batch: number; readonly inputs: readonly Named<TensorData>[] }[];
  readonly signal: AbortSignal | undefined;
}

/** A graph against the program that it is of. */
async function compareAll(
  file: string,
  open: () => Promise<OpenGraph>,
  {
    program,
    inputs,
    rounded,
    arithmetic,
    signal,
  }: Run & { readonly rounded: boolean; readonly arithmetic: Arithmetic },
): Promise<Omit<Comparison, "loss">[]> {
  const graph = await open();
  try {
    const comparisons: Omit<Comparison, "loss">[] = [];
    for (const { batch, inputs: ofBatch } of inputs) {
      const gaps = new Map<string, Gap>();
      for (const each of ofBatch) {
        signal?.throwIfAborted();
        addGaps(gaps, file, runEagerly(program, each), await graph.run(each));
      }
      for (const [output, gap] of gaps) {
        const { maxAbsError, largestValue, predictions, agreeing } = gap;
        const withinTolerance = isWithinTolerance(gap, arithmetic);
        const agreement = predictions === 0 ? null : agreeing / predictions;
        comparisons.push({ file, output, batch, maxAbsError, largestValue, agreement, rounded, withinTolerance });
      }
    }
    return comparisons;
  } finally {
    await graph.dispose();
  }
}

/** What the logits of a graph lose against the program in full precision, by batch. */
async function lossesOf(
  file: string,
  open: () => Promise<OpenGraph>,
  { program, inputs, maxKl, signal }: Run & { readonly maxKl: number },
): Promise<Map<number, Loss>> {
  const graph = await open();
  try {
    const losses = new Map<number, Loss>();
    for (const { batch, inputs: ofBatch } of inputs) {
      const gap = logitGap();
      for (const each of ofBatch) {
        signal?.throwIfAborted();
        const [expected] = runEagerly(program, each).get(LOGITS)!;
        const logits = listOf((await graph.run(each))[LOGITS]!)[0]!;
        const codes = logits.shape.at(-1)!;
        const categorical = createCategorical(codes);
        for (let row = 0; row < expected!.length; row += codes) {
          const [mine, others] = [expected!, logits.data as Float32Array].map((all) => all.subarray(row, row + codes));
          if (others!.every(Number.isFinite)) gap.add(categorical, mine!, others!, 0, `${file}, row ${row / codes}`);
          else gap.addNothing();
        }
      }
      const { maxAbsError, kl, sameTop1 } = gap.result();
      losses.set(batch, { maxAbsError, kl, sameTop1, withinThreshold: kl <= maxKl });
    }
    return losses;
  } finally {
    await graph.dispose();
  }
}

/** The end-to-end graph against the export's own steps: the same codes, and their images. */
function compareGenerated(
  batch: number,
  { whole, stepwise }: Awaited<ReturnType<typeof generateBothWays>>,
): Comparison[] {
  return (["codes", "images"] as const).map((output) => {
    const gap = newGap();
    widen(gap, stepwise[output].data as Float32Array, whole[output].data as Float32Array);
    const within = output === "codes" ? gap.maxAbsError === 0 : isWithinTolerance(gap, "float32");
    const { maxAbsError, largestValue } = gap;
    return {
      file: GENERATION,
      output,
      batch,
      maxAbsError,
      largestValue,
      agreement: null,
      rounded: false,
      withinTolerance: within,
      loss: null,
    };
  });
}
