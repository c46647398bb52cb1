import { createCategorical } from "@tensorar/sampler";
import { type LogitGap, logitGap } from "./logit-gap";
import type { OpenGraph } from "./open-graph";
import type { OpenedExport } from "./opened-export";
import { addGaps, type Gap, isWithinTolerance, LOGITS } from "./output-gaps";
import type { Reference } from "./references";
import { listOf, runEagerly } from "./run-eagerly";

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
  /** Weights were exported in fewer bits: the eager model's are quantized alike. */
  readonly quantized: boolean;
  readonly withinTolerance: boolean;
  /** For logits of weights in fewer bits: what those cost; else null. */
  readonly loss: Loss | null;
}

/** How far the export, as it runs, is from the eager model in full precision. */
export interface Loss extends Pick<LogitGap, "maxAbsError" | "kl" | "sameTop1"> {
  readonly withinThreshold: boolean;
}

/** On which batches a graph is compared, and what fewer bits may cost. */
export interface CompareOptions {
  readonly batches: readonly number[];
  /** Mean KL(full precision ‖ export) in nats. */
  readonly maxKl: number;
  /** Stops it between two runs of a graph. */
  readonly signal: AbortSignal | undefined;
}

/** A graph of an export against the program that it is of. */
export async function compareGraph(
  opened: OpenedExport,
  reference: Reference,
  options: CompareOptions,
): Promise<Comparison[]> {
  const { file, full, arithmetic } = reference;
  // Activations that the file rounds to 8 bits would hide what the weights do.
  const exact = await opened.open(file, { floatActivations: full !== undefined && arithmetic === "float32" });
  const found = await closing(exact, () => differences(exact, reference, options));
  if (full === undefined) return found;
  const asRun = await opened.open(file);
  const losses = await closing(asRun, () => lossesOf(asRun, { ...reference, program: full }, options));
  return found.map((each) => ({ ...each, loss: (each.output === LOGITS && losses.get(each.batch)) || null }));
}

async function closing<T>(graph: OpenGraph, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } finally {
    await graph.dispose();
  }
}

/** How far each output is from the program's, by batch. */
async function differences(
  graph: OpenGraph,
  { file, program, full, arithmetic, inputs }: Reference,
  { batches, signal }: CompareOptions,
): Promise<Comparison[]> {
  const comparisons: Comparison[] = [];
  for (const batch of batches) {
    const gaps = new Map<string, Gap>();
    for (const each of inputs(batch)) {
      signal?.throwIfAborted();
      addGaps(gaps, file, runEagerly(program, each), await graph.run(each));
    }
    for (const [output, gap] of gaps) {
      const { maxAbsError, largestValue, predictions, agreeing } = gap;
      comparisons.push({
        file,
        output,
        batch,
        maxAbsError,
        largestValue,
        agreement: predictions === 0 ? null : agreeing / predictions,
        quantized: full !== undefined,
        withinTolerance: isWithinTolerance(gap, arithmetic),
        loss: null,
      });
    }
  }
  return comparisons;
}

/** What the logits of a graph lose against the program in full precision, by batch. */
async function lossesOf(
  graph: OpenGraph,
  { file, program, inputs }: Reference,
  { batches, maxKl, signal }: CompareOptions,
): Promise<Map<number, Loss>> {
  const losses = new Map<number, Loss>();
  for (const batch of batches) {
    const gap = logitGap();
    for (const each of inputs(batch)) {
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
}
