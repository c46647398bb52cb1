import type { TensorData, TensorSpec } from "@tensorar/core";
import type { Engine } from "../engine/engine";
import type { BatchSpecs, Validation } from "../tasks/task";
import { numbersOf } from "./metrics";

/** Metrics of weights on held-out images. */
export interface Validator {
  /** Means over all batches, such as `heldOutLoss`. */
  measure(weights: Record<string, TensorData>, signal: AbortSignal | undefined): Promise<Record<string, number>>;
  dispose(): Promise<void>;
}

/** @param specs of the weights */
export async function openValidator<B extends BatchSpecs>(
  validation: Validation<B>,
  engine: Engine,
  specs: Readonly<Record<string, TensorSpec>>,
): Promise<Validator> {
  const inputs = { params: specs, batch: validation.batchSpec };
  const run = await engine.prepare((given) => ({ metrics: validation.metrics(given) }), inputs);
  return {
    async measure(params, signal) {
      const sums: Record<string, number> = {};
      for (let index = 0; index < validation.batches; index++) {
        signal?.throwIfAborted();
        const { metrics } = await run({ params, batch: await validation.batch(index) });
        for (const [name, value] of Object.entries(numbersOf(metrics))) sums[name] = (sums[name] ?? 0) + value;
      }
      return Object.fromEntries(
        Object.entries(sums).map(([name, sum]) => [
          `heldOut${name[0]!.toUpperCase()}${name.slice(1)}`,
          sum / validation.batches,
        ]),
      );
    },
    dispose: () => run.dispose(),
  };
}
