import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ExportManifest } from "@tensorar/manifest";
import type { OwnBackbone } from "@tensorar/model";
import { createStream } from "@tensorar/noise";
import type { NodeRuntime } from "@tensorar/onnx/node";
import { createCategorical, type Decoder, generate } from "@tensorar/sampler";
import { exportFolders } from "./export";
import { type LogitGap, logitGap } from "./logit-gap";
import { openExport } from "./opened-export";
import type { Conditions } from "./random-conditions";
import { realConditions } from "./real-conditions";
import { openStepwise } from "./stepwise";

/** Number formats that lose something. */
export type QuantizedWeights = Exclude<ExportManifest["weights"], "float32">;

/** What one number format costs, of one kind of predictions. */
export interface PrecisionGap extends LogitGap {
  readonly weights: QuantizedWeights;
  /** Predictions of the token that a step makes final, or of the drafts after it. */
  readonly of: "tokens" | "drafts";
}

/** Which number formats are compared, and on what. */
export interface PrecisionOptions {
  readonly weights: readonly QuantizedWeights[];
  /** Images that the float32 model draws; their sequences are what is compared along. */
  readonly images: number;
  readonly seed: number;
  /** File of prompts or captions, for models of text. */
  readonly conditions?: string;
  /** The model's, where this project does not have it. */
  readonly backbone?: OwnBackbone | undefined;
  /** Called after every step. */
  readonly onStep?: (done: number, total: number, weights: QuantizedWeights) => void;
}

/**
 * What number formats cost, on real input: the float32 export draws images for classes, prompts or captions, and every format
 * is given the same conditions and the same tensors, step by step, from the condition to the last token. Caches are each
 * format's own. Exports lie in the system's folder for temporary files meanwhile.
 *
 * @throws TensorARError when the folders can't be exported or the conditions do not fit
 */
export async function comparePrecision(
  modelDir: string,
  tokenizerDir: string,
  runtime: NodeRuntime,
  options: PrecisionOptions,
): Promise<PrecisionGap[]> {
  const folder = await mkdtemp(join(tmpdir(), "tensorar-precision-"));
  try {
    const reference = join(folder, "float32");
    const manifest = await exportFolders(modelDir, tokenizerDir, reference, { backbone: options.backbone });
    const conditions = await realConditions(manifest, options.images, options.conditions);
    const gaps: PrecisionGap[] = [];
    for (const [number, weights] of options.weights.entries()) {
      const quantized = join(folder, weights);
      await exportFolders(modelDir, tokenizerDir, quantized, { weights, backbone: options.backbone });
      const onStep = (step: number) =>
        options.onStep?.(number * manifest.tokens + step, options.weights.length * manifest.tokens, weights);
      const found = await compareAlong(reference, quantized, runtime, conditions, { ...options, onStep });
      gaps.push(...found.map(({ of, ...gap }) => ({ weights, of, ...gap })));
      await rm(quantized, { recursive: true }); // formats of large models one after the other
    }
    return gaps;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Draws images by the reference and compares all predictions on the way. */
async function compareAlong(
  reference: string,
  quantized: string,
  runtime: NodeRuntime,
  { conditioning, conditions }: Conditions,
  { seed, onStep }: { readonly seed: number; readonly onStep: (step: number) => void },
): Promise<Omit<PrecisionGap, "weights">[]> {
  const open = async (dir: string) => openStepwise(await openExport(dir, runtime), conditioning);
  const [expected, actual] = [await open(reference), await open(quantized)];
  const compared = compareDecoders(expected.decoder, actual.decoder, seed);
  try {
    const loop = generate(compared.decoder, {
      conditions,
      seed,
      temperature: 1,
      topK: 0,
      topP: 1,
      guidance: { kind: "constant", scale: 1 },
      drafts: { kind: "raw" },
    });
    for (let event = await loop.next(); !event.done; event = await loop.next()) onStep(event.value.position + 1);
  } finally {
    await expected.dispose();
    await actual.dispose();
  }
  return compared.results();
}

/** A decoder that is the reference, and has another one predict from the same inputs. */
function compareDecoders<C>(reference: Decoder<C>, other: Decoder<C>, seed: number) {
  const { tokens, windowSize: k, vocabSize, factors = [vocabSize] } = reference;
  const categoricals = factors.map((size) => createCategorical(size));
  const gaps = { tokens: logitGap(), drafts: logitGap() };
  const compare = (factor: number, position: number, expected: Float32Array, actual: Float32Array) => {
    const size = factors[factor]!;
    for (let row = 0; row * k * size < expected.length; row++) {
      const random = createStream(seed, `precision/${factor}`, row, position);
      for (let entry = 0; entry < Math.min(k, tokens - position); entry++) {
        const [from, to] = [(row * k + entry) * size, (row * k + entry + 1) * size];
        const rows = [expected.subarray(from, to), actual.subarray(from, to)] as const;
        const where = `image ${row}, token ${position + entry}`;
        gaps[entry === 0 ? "tokens" : "drafts"].add(categoricals[factor]!, ...rows, random.uniform(), where);
      }
    }
  };
  const decoder: Decoder<C> = {
    ...reference,
    start(conditions) {
      const [mine, others] = [reference.start(conditions), other.start(conditions)];
      let done = 0;
      const both = async (factor: number, expected: Promise<Float32Array>, actual: Promise<Float32Array>) => {
        const [logits, found] = await Promise.all([expected, actual]);
        compare(factor, done - 1, logits, found);
        return logits;
      };
      return {
        step(windows) {
          done++;
          return both(0, mine.step(windows), others.step(windows));
        },
        nextSubToken: (known) => both(known.length, mine.nextSubToken!(known), others.nextSubToken!(known)),
      };
    },
  };
  const kinds = k === 1 ? (["tokens"] as const) : (["tokens", "drafts"] as const);
  return { decoder, results: () => kinds.map((of) => ({ of, ...gaps[of].result() })) };
}
