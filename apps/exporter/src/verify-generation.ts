import type { TensorData } from "@tensorar/checkpoint";
import type { ExportManifest, SessionSettings } from "@tensorar/manifest";
import { GENERATION, IMAGE_DECODER } from "@tensorar/manifest";
import type { NodeRuntime } from "@tensorar/onnx/node";
import { type DraftPolicy, type Generated, generate } from "@tensorar/sampler";
import type { LoadedTextEncoder } from "@tensorar/text-encoder/node";
import { openGraph } from "./open-graph";
import { randomConditions } from "./random-conditions";
import { openStepwise } from "./stepwise";
import { randomTexts } from "./text-encoder";

export interface GeneratedImages {
  /** int32 [B, T] */
  readonly codes: TensorData;
  /** [B, height, width, channels] */
  readonly images: TensorData;
}

const TEMPERATURE = 0.9;

/**
 * Random conditions, seeds and scales drawn by `generation.onnx`, and by the generation loop of `@tensorar/sampler` over the
 * export's own steps and its image decoder.
 */
export async function generateBothWays(
  dir: string,
  manifest: ExportManifest,
  runtime: NodeRuntime,
  sessions: Readonly<Record<string, SessionSettings>>,
  {
    batch,
    seed,
    signal,
    textEncoder,
  }: {
    readonly batch: number;
    readonly seed: number;
    readonly signal?: AbortSignal | undefined;
    /** Of an export whose graph takes texts as tokens. */
    readonly textEncoder?: LoadedTextEncoder | undefined;
  },
): Promise<{ readonly whole: GeneratedImages; readonly stepwise: GeneratedImages }> {
  const {
    topK,
    topP,
    draws,
    leaveOneOut: strength = 0,
    guidance = { kind: "constant" },
    drafts = { kind: "raw" },
  } = manifest.generation!;
  const policy: DraftPolicy = drafts.kind === "renoise" ? { rates: manifest.noiseRates, ...drafts } : drafts;
  const factors = manifest.factors?.length ?? 1;
  const texts = textEncoder && randomTexts(textEncoder, batch, seed);
  const { conditioning, conditions } = texts?.conditions ?? randomConditions(manifest, batch, seed);
  const rows = Array.from({ length: batch }, (_, row) => row);
  const [seeds, scales] = [rows.map((row) => (seed % 2 ** 31) ^ row), rows.map((row) => 1 + row)]; // the first is not guided
  const int = (data: readonly number[]): TensorData => ({
    dtype: "int32",
    shape: [batch],
    data: Int32Array.from(data),
  });
  const perFactor = (values: readonly number[]): TensorData => ({
    dtype: "float32",
    shape: [batch, ...(manifest.factors ? [factors] : [])],
    data: Float32Array.from(values.flatMap((value) => Array.from({ length: factors }, () => value))),
  });
  const run = async (file: string, inputs: Parameters<Awaited<ReturnType<typeof openGraph>>["run"]>[0]) => {
    signal?.throwIfAborted();
    const graph = await openGraph(dir, file, runtime, sessions);
    try {
      return (await graph.run(inputs)) as Readonly<Record<string, TensorData>>;
    } finally {
      await graph.dispose();
    }
  };
  const drawn = await run(GENERATION, {
    condition: texts?.tokens ?? conditioning.tensors(conditions),
    seed: int(seeds),
    index: int(rows.map(() => 0)),
    scale: perFactor(scales),
    temperature: perFactor(rows.map(() => TEMPERATURE)),
  });
  const whole: GeneratedImages = { codes: drawn.codes!, images: drawn.images! };
  const { decoder, dispose } = await openStepwise(dir, manifest, conditioning, runtime, sessions);
  let generated: Generated;
  try {
    const loop = generate(decoder, {
      conditions,
      seed: seeds,
      scales,
      guidance: { ...guidance, scale: 1 },
      temperature: TEMPERATURE,
      topK,
      topP,
      drafts: policy,
      draws,
      ...(strength > 0 && { leaveOneOut: { strength, rates: manifest.noiseRates } }),
      signal,
    });
    let event = await loop.next();
    while (!event.done) event = await loop.next();
    generated = event.value;
  } finally {
    await dispose();
  }
  const codes: TensorData = { dtype: "int32", shape: [batch, manifest.tokens], data: generated.codes };
  // Of the graph's own codes, so that images are compared even where codes differ.
  const { images } = await run(IMAGE_DECODER, { codes: whole.codes });
  return { whole, stepwise: { codes, images: images! } };
}
