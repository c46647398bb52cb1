import type { TensorData } from "@tensorar/checkpoint";
import type { Codes } from "@tensorar/data";
import { type Condition, type LoadedModel, selfWindows, toParams, windowLoss } from "@tensorar/model";
import { corruptWindows, fillUniform, slideWindows } from "@tensorar/noise";
import type { Engine, TrainingConditions } from "@tensorar/training";
import * as tf from "@tensorflow/tfjs-core";

/** How well each depth is predicted, in nats and as a fraction; index 0 is the final token. */
export interface DepthScores {
  readonly crossEntropy: number[];
  readonly accuracy: number[];
}

/**
 * What a model makes of its input windows on held-out images (TENSORAR "Report, always"): with truth noised as in
 * training, with its own drafts, and with drafts blanked (uniform noise). A model that gains from truth and loses from
 * its own drafts trusts them too much.
 */
export interface DraftAblation {
  readonly noisedTruth: DepthScores;
  readonly ownDrafts: DepthScores;
  readonly blanked: DepthScores;
}

const BATCH = 32;

/**
 * @param rows of the held-out images, which are scored
 * @throws the reason of `signal` where it stops it
 */
export async function draftAblation(
  folder: LoadedModel,
  codes: Codes,
  conditions: TrainingConditions,
  engine: Engine,
  rows: Int32Array,
  seed: number,
  signal: AbortSignal,
): Promise<DraftAblation> {
  const model = folder.model;
  const params = toParams(folder.tensors);
  const { tokens: T, vocabSize: V } = model.backbone;
  const k = model.windowSize;
  const { factors } = model.backbone;
  const uniformShape = [T, k, ...(factors ? [factors.sizes.length] : [])];
  const perImage = uniformShape.reduce((a, b) => a * b);
  const score = await engine.prepare(
    (inputs: { condition: Condition; windows: tf.Tensor3D; targets: tf.Tensor3D; uniforms: tf.Tensor3D }) => {
      const logits = model.forward(params, inputs); // [B, T, k, V]
      const { crossEntropy, accuracy } = windowLoss(logits, inputs.targets, { factors: factors?.sizes });
      return { crossEntropy, accuracy, drafts: selfWindows(model, params, inputs) };
    },
    {
      condition: conditions.spec("batch"),
      windows: { dtype: "int32", shape: ["batch", T - 1, k] },
      targets: { dtype: "int32", shape: ["batch", T, k] },
      uniforms: { dtype: "float32", shape: ["batch", ...uniformShape] },
    },
  );

  const sums = { noisedTruth: emptyScores(k), ownDrafts: emptyScores(k), blanked: emptyScores(k) };
  for (let start = 0; start < rows.length; start += BATCH) {
    signal.throwIfAborted();
    const batchRows = rows.subarray(start, start + BATCH);
    const B = batchRows.length;
    const tokens = new Int32Array(B * T);
    for (const [b, row] of batchRows.entries()) tokens.set(codes.codes.subarray(row * T, (row + 1) * T), b * T);
    const condition = await conditions.batch(batchRows, new Uint8Array(B));
    const shape = { batch: B, windowSize: k };
    const clean = slideWindows(tokens, { ...shape, tokens: T, count: T - 1 });
    const targets = int32(slideWindows(tokens, { ...shape, tokens: T }), [B, T, k]);
    const corrupted = (rates: Float64Array) =>
      corruptWindows(clean, { ...shape, count: T - 1, vocabSize: V, rates, seed, step: 0, sampleOffset: start });
    const run = async (windows: Int32Array, pass: number) => {
      const uniforms = new Float32Array(B * perImage);
      fillUniform(uniforms, seed, `calibration-${pass}`, start);
      return score({
        condition,
        targets,
        windows: int32(windows, [B, T - 1, k]),
        uniforms: { dtype: "float32", shape: [B, ...uniformShape], data: uniforms },
      });
    };
    const blanked = await run(corrupted(Float64Array.from({ length: k }, (_, j) => (j === 0 ? 0 : 1))), 0);
    // Drafts of a first pass without drafts, then of a second with those: close to what the loop of inference feeds back.
    const second = await run(blanked.drafts.data as Int32Array, 1);
    const own = await run(second.drafts.data as Int32Array, 2);
    addScores(sums.noisedTruth, await run(corrupted(Float64Array.from(folder.noiseRates)), 3), B);
    addScores(sums.ownDrafts, own, B);
    addScores(sums.blanked, blanked, B);
  }
  await score.dispose();
  tf.dispose(params);
  const mean = ({ crossEntropy, accuracy }: DepthScores): DepthScores => ({
    crossEntropy: crossEntropy.map((sum) => sum / rows.length),
    accuracy: accuracy.map((sum) => sum / rows.length),
  });
  return { noisedTruth: mean(sums.noisedTruth), ownDrafts: mean(sums.ownDrafts), blanked: mean(sums.blanked) };
}

const int32 = (data: Int32Array, shape: readonly number[]): TensorData => ({ dtype: "int32", shape, data });

const emptyScores = (k: number): DepthScores => ({
  crossEntropy: new Array<number>(k).fill(0),
  accuracy: new Array<number>(k).fill(0),
});

function addScores(sums: DepthScores, outputs: Readonly<Record<keyof DepthScores, TensorData>>, weight: number): void {
  for (const name of ["crossEntropy", "accuracy"] as const) {
    const values = outputs[name].data as Float32Array;
    values.forEach((value, j) => {
      sums[name][j]! += value * weight;
    });
  }
}
