import type { TensorData } from "@tensorar/checkpoint";
import { TensorARError } from "@tensorar/core";
import type { Named } from "./open-graph";
import { listOf } from "./run-eagerly";

/** How far an output is from what it should be. */
export interface Gap {
  maxAbsError: number;
  largestValue: number;
  /** Rows of logits, and those whose most likely code is the same. */
  predictions: number;
  agreeing: number;
}

/** What a graph computes in. */
export type Arithmetic = "float32" | "float16";

/**
 * How far right outputs may lie apart, as a part of the largest value, and absolutely where an output is near 0 throughout, since the
 * terms that cancelled were of size 1.
 * - float32 sums in another order differ by a few units in the last place of the largest term (6·10⁻⁸ each), and layers add up: 10⁻⁴
 *   is an order of magnitude above what right exports showed and far below any mistake.
 * - float16 rounds every result to 11 bits (5·10⁻⁴ each), and layers add up: right exports showed 10⁻³, so 10⁻² in the same way.
 */
const TOLERANCE = {
  float32: { relative: 1e-4, absolute: 1e-5 },
  float16: { relative: 1e-2, absolute: 2e-3 },
} as const;

export function isWithinTolerance({ maxAbsError, largestValue }: Gap, arithmetic: Arithmetic): boolean {
  const { relative, absolute } = TOLERANCE[arithmetic];
  return maxAbsError <= absolute + relative * largestValue; // never where it is NaN
}

export const LOGITS = "logits";

const argmax = (logits: Float32Array, row: number, codes: number): number => {
  let best = 0;
  for (let code = 1; code < codes; code++) if (logits[row + code]! > logits[row + best]!) best = code;
  return best;
};

export const newGap = (): Gap => ({ maxAbsError: 0, largestValue: 0, predictions: 0, agreeing: 0 });

/** Widens a gap by the values of one output. */
export function widen(gap: Gap, expected: ArrayLike<number>, actual: ArrayLike<number>): void {
  for (let i = 0; i < expected.length; i++) {
    gap.maxAbsError = Math.max(gap.maxAbsError, Math.abs(actual[i]! - expected[i]!)); // NaN stays
    gap.largestValue = Math.max(gap.largestValue, Math.abs(expected[i]!));
  }
}

/** Widens the gap of every output by what these two runs show. */
export function addGaps(
  gaps: Map<string, Gap>,
  file: string,
  eager: Map<string, Float32Array[]>,
  exported: Named<TensorData>,
): void {
  for (const [output, expected] of eager) {
    const given = exported[output];
    if (given === undefined) throw new TensorARError(`${file}: there is no output "${output}"; export it again`);
    const actual = listOf(given);
    const gap = gaps.get(output) ?? newGap();
    gaps.set(output, gap);
    for (const [part, values] of expected.entries()) {
      const found = actual[part]?.data as Float32Array | undefined;
      if (found?.length !== values.length) {
        throw new TensorARError(
          `${file}: output "${output}" has ${found?.length ?? 0} values, expected ${values.length}; export it again`,
        );
      }
      widen(gap, values, found);
      if (output === LOGITS) {
        const codes = actual[part]!.shape.at(-1)!;
        for (let row = 0; row < values.length; row += codes) {
          gap.predictions++;
          if (argmax(values, row, codes) === argmax(found, row, codes)) gap.agreeing++;
        }
      }
    }
  }
}
