import { GENERATION, type Target } from "@tensorar/manifest";
import type { NodeRuntime } from "@tensorar/onnx/node";
import { type Comparison, compareGraph } from "./compare-graph";
import { openExport } from "./opened-export";
import { loadReferences, type ReferenceOptions } from "./references";
import { compareGeneration } from "./verify-generation";

/**
 * Mean KL in nats that fewer bits may cost. On random inputs int4 costs the emoji model 0.2 and int8 0.002; logits that have
 * nothing to do with the model's cost several nats.
 */
const MAX_KL = 1;

/** What an export is compared with, and on which inputs. */
export interface VerifyOptions extends ReferenceOptions {
  /** Default 1 and 3; neither is a size that the graphs were traced at. */
  readonly batches?: readonly number[];
  /** Runs on another target's provider than the one that the export was made for. */
  readonly provider?: Target;
  /** Mean KL(full precision ‖ export) in nats that weights in fewer bits may cost; default 1. */
  readonly maxKl?: number;
  /** Stops it between two runs of a graph. */
  readonly signal?: AbortSignal;
}

/**
 * Runs the graphs of an export and the eager model, on the current tfjs backend, on the same fresh random inputs: several
 * batch sizes, and the decoder at the first, middle and last position. An export in fewer bits is compared with the eager model of
 * weights that are quantized alike, at the tolerance of the arithmetic that it computes in, and its activations in that, too; what
 * it loses against full precision as it is run is a figure of its own, with a threshold.
 *
 * @throws TensorARError when the export or its sources can't be read, or do not belong together; the reason of `signal` when it
 *   aborts
 */
export async function verifyExport(dir: string, runtime: NodeRuntime, options: VerifyOptions): Promise<Comparison[]> {
  const { seed, batches = [1, 3], maxKl = MAX_KL, signal, provider } = options;
  const opened = await openExport(dir, runtime, provider);
  const { graphs, textEncoder, dispose } = await loadReferences(opened, options);
  try {
    const comparisons: Comparison[] = [];
    for (const reference of graphs)
      comparisons.push(...(await compareGraph(opened, reference, { batches, maxKl, signal })));
    if (opened.manifest.files[GENERATION])
      for (const batch of batches)
        comparisons.push(...(await compareGeneration(opened, { batch, seed, signal, textEncoder })));
    return comparisons;
  } finally {
    dispose();
  }
}
