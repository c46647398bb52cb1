import type { TensorData } from "@tensorar/core";
import { type ExportManifest, GENERATION, IMAGE_DECODER } from "@tensorar/manifest";
import { type DraftPolicy, type GenerateOptions, generate } from "@tensorar/sampler";
import type { LoadedTextEncoder } from "@tensorar/text-encoder/node";
import type { Comparison } from "./compare-graph";
import type { Named } from "./open-graph";
import type { OpenedExport } from "./opened-export";
import { isWithinTolerance, newGap, widen } from "./output-gaps";
import { type Conditions, randomConditions } from "./random-conditions";
import { openStepwise } from "./stepwise";
import { randomTexts } from "./text-encoder";

// B images · T tokens

const TEMPERATURE = 0.9;

/** What is generated. */
interface GenerationOptions {
  /** B */
  readonly batch: number;
  readonly seed: number;
  readonly signal?: AbortSignal | undefined;
  /** Of an export whose graph takes texts as tokens. */
  readonly textEncoder?: LoadedTextEncoder | undefined;
}

/** What both ways of generation are given. */
interface Requests extends Conditions {
  /** Texts as the graph takes them, where it does. */
  readonly tokens: Named<TensorData> | undefined;
  readonly seeds: readonly number[];
  /** The first image is not guided. */
  readonly scales: readonly number[];
}

/** The end-to-end graph against the export's own steps: the same codes, and their images. */
export async function compareGeneration(opened: OpenedExport, options: GenerationOptions): Promise<Comparison[]> {
  const { endToEnd, stepwise } = await generateBothWays(opened, options);
  return (["codes", "images"] as const).map((output) =>
    compare(output, options.batch, stepwise[output], endToEnd[output]),
  );
}

interface Generated {
  /** int32 [B, T] */
  readonly codes: TensorData;
  /** [B, height, width, channels] */
  readonly images: TensorData;
}

/**
 * Random conditions, seeds and scales drawn by `generation.onnx`, and by the generation loop of `@tensorar/sampler` over the
 * export's own steps and its image decoder.
 */
export async function generateBothWays(
  opened: OpenedExport,
  options: GenerationOptions,
): Promise<{ readonly endToEnd: Generated; readonly stepwise: Generated }> {
  const { manifest } = opened;
  const { batch, signal } = options;
  const requests = randomRequests(manifest, options);
  const { codes, images } = await runOnce(opened, GENERATION, graphInputs(manifest, requests), signal);
  const drawn = await drawStepwise(opened, requests, signal);
  // Of the graph's own codes, so that images are compared even where codes differ.
  const decoded = await runOnce(opened, IMAGE_DECODER, { codes: codes! }, signal);
  return {
    endToEnd: { codes: codes!, images: images! },
    stepwise: { codes: { dtype: "int32", shape: [batch, manifest.tokens], data: drawn }, images: decoded.images! },
  };
}

function randomRequests(manifest: ExportManifest, { batch, seed, textEncoder }: GenerationOptions): Requests {
  const texts = textEncoder && randomTexts(textEncoder, batch, seed);
  const images = Array.from({ length: batch }, (_, image) => image);
  return {
    ...(texts?.conditions ?? randomConditions(manifest, batch, seed)),
    tokens: texts?.tokens,
    seeds: images.map((image) => (seed % 2 ** 31) ^ image),
    scales: images.map((image) => 1 + image),
  };
}

function graphInputs(manifest: ExportManifest, requests: Requests): Named<TensorData> {
  const { conditioning, conditions, tokens, seeds, scales } = requests;
  const batch = seeds.length;
  const int = (data: Int32Array): TensorData => ({ dtype: "int32", shape: [batch], data });
  const factors = manifest.factors?.length ?? 1;
  const perFactor = (values: readonly number[]): TensorData => ({
    dtype: "float32",
    shape: [batch, ...(manifest.factors ? [factors] : [])],
    data: Float32Array.from(values.flatMap((value) => Array.from({ length: factors }, () => value))),
  });
  return {
    condition: tokens ?? conditioning.tensors(conditions),
    seed: int(Int32Array.from(seeds)),
    index: int(new Int32Array(batch)),
    scale: perFactor(scales),
    temperature: perFactor(scales.map(() => TEMPERATURE)),
  };
}

/** Codes [B, T] by the export's own steps. */
async function drawStepwise(
  opened: OpenedExport,
  { conditioning, conditions, seeds, scales }: Requests,
  signal: AbortSignal | undefined,
): Promise<Int32Array> {
  const { decoder, dispose } = await openStepwise(opened, conditioning);
  try {
    const loop = generate(decoder, {
      ...settingsOf(opened.manifest),
      conditions,
      seed: seeds,
      scales,
      temperature: TEMPERATURE,
      signal,
    });
    let event = await loop.next();
    while (!event.done) event = await loop.next();
    return event.value.codes;
  } finally {
    await dispose();
  }
}

type Settings = Pick<GenerateOptions<unknown>, "topK" | "topP" | "guidance" | "drafts" | "draws" | "leaveOneOut">;

/** How the export's end-to-end graph draws. */
function settingsOf({ generation, noiseRates, evidence }: ExportManifest): Settings {
  const { topK, topP, draws, leaveOneOut: strength } = generation!;
  const { guidance = { kind: "constant" }, drafts = { kind: "raw" } } = generation!;
  const policy: DraftPolicy = drafts.kind === "renoise" ? { rates: noiseRates, ...drafts } : drafts;
  return {
    topK,
    topP,
    draws,
    guidance: { ...guidance, scale: 1 },
    drafts: policy,
    ...(strength !== undefined && { leaveOneOut: { strength, rates: noiseRates, evidence } }),
  };
}

async function runOnce(
  opened: OpenedExport,
  file: string,
  inputs: Named<TensorData>,
  signal: AbortSignal | undefined,
): Promise<Readonly<Record<string, TensorData>>> {
  signal?.throwIfAborted();
  const graph = await opened.open(file);
  try {
    return (await graph.run(inputs)) as Readonly<Record<string, TensorData>>;
  } finally {
    await graph.dispose();
  }
}

function compare(output: "codes" | "images", batch: number, expected: TensorData, actual: TensorData): Comparison {
  const gap = newGap();
  widen(gap, expected.data as Float32Array, actual.data as Float32Array);
  return {
    file: GENERATION,
    output,
    batch,
    maxAbsError: gap.maxAbsError,
    largestValue: gap.largestValue,
    agreement: null,
    quantized: false,
    withinTolerance: output === "codes" ? gap.maxAbsError === 0 : isWithinTolerance(gap, "float32"),
    loss: null,
  };
}
