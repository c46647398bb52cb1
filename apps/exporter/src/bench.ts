import type { TensorData } from "@tensorar/checkpoint";
import { checkFolder } from "@tensorar/core/node";
import type { Target } from "@tensorar/manifest";
import { DECODER, DEVICE_RESIDENT, IMAGE_DECODER } from "@tensorar/manifest";
import type { NodeRuntime } from "@tensorar/onnx/node";
import type { Named } from "./open-graph";
import { openExport } from "./opened-export";
import { decoderInputs, imageInputs } from "./random-inputs";

/** How long one call of a graph takes. */
export interface Timing {
  readonly file: string;
  readonly batch: number;
  /** Median over the runs. */
  readonly milliseconds: number;
}

/** What is timed, and how often. */
export interface BenchOptions {
  readonly threads: number;
  readonly batches: readonly number[];
  /** Timed runs of each; two more come before them. */
  readonly runs: number;
  /** Runs on another target's provider than the one that the export was made for. */
  readonly provider?: Target;
  /** Called after every run. */
  readonly onRun?: (done: number, total: number, file: string, batch: number) => void;
}

const WARM_UP_RUNS = 2;

/** What is timed of an export. */
interface Case {
  readonly file: string;
  inputs(batch: number): Named<TensorData>;
  /** Names of the inputs that stay in the runtime. */
  readonly state?: readonly string[];
}

/**
 * Times the graphs of an export: one decoder step with a half-filled cache, the same where it keeps the cache, and one decoding of
 * images.
 */
export async function benchExport(dir: string, runtime: NodeRuntime, options: BenchOptions): Promise<Timing[]> {
  const { threads, batches, runs, onRun, provider } = options;
  const { manifest, open } = await openExport(dir, runtime, provider);
  await checkFolder(dir);
  const step = (batch: number) => decoderInputs(manifest, batch, Math.floor(manifest.tokens / 2), 0);
  const cases: Case[] = [
    { file: DECODER, inputs: step },
    { file: IMAGE_DECODER, inputs: (batch) => imageInputs(manifest, batch, 0) },
    ...(manifest.files[DEVICE_RESIDENT]
      ? [{ file: DEVICE_RESIDENT, inputs: step, state: ["mask", "keys", "values"] }]
      : []),
  ];
  const total = cases.length * batches.length * (WARM_UP_RUNS + runs);
  const timings: Timing[] = [];
  let done = 0;
  for (const { file, inputs: inputsOf, state = [] } of cases) {
    const graph = await open(file, { threads, state });
    try {
      for (const batch of batches) {
        const all = Object.entries(inputsOf(batch));
        const inputs = Object.fromEntries(all.filter(([name]) => !state.includes(name)));
        if (state.length > 0) await graph.setState(Object.fromEntries(all.filter(([name]) => state.includes(name))));
        const times: number[] = [];
        for (let i = -WARM_UP_RUNS; i < runs; i++) {
          const begun = performance.now();
          await graph.run(inputs);
          if (i >= 0) times.push(performance.now() - begun);
          onRun?.(++done, total, file, batch);
        }
        timings.push({ file, batch, milliseconds: median(times) });
      }
    } finally {
      await graph.dispose();
    }
  }
  return timings;
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
