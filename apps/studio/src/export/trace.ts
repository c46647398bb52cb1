import type { Role } from "../engine/protocol";
import { draftsOf, NONE, type Run } from "../run";
import type { Settings } from "../settings";

/** What is saved of one model's images. */
export interface SavedRun {
  readonly windowSize: number;
  readonly tokens: number;
  readonly grid: readonly [number, number];
  /** [N][T] */
  readonly codes: readonly (readonly number[])[];
  /** [N][T][k], first draft to final token; -1 where there was none. */
  readonly trace: readonly (readonly (readonly number[])[])[];
  /** [N][T][k], of the codes of the trace; 0 where there was none. */
  readonly probabilities: readonly (readonly (readonly number[])[])[];
}

/** Settings, and every draft of every token so far. */
export function traceOf(settings: Settings, runs: Readonly<Partial<Record<Role, Run>>>): object {
  const saved = Object.entries(runs).map(([role, run]) => [role, savedRun(run)]);
  return { settings, ...(Object.fromEntries(saved) as Partial<Record<Role, SavedRun>>) };
}

function savedRun(run: Run): SavedRun {
  const { tokens, windowSize, grid } = run.description;
  const last = run.steps.length - 1;
  const each = Array.from({ length: run.images }, (_, image) =>
    Array.from({ length: tokens }, (_, position) => {
      const [codes, probabilities] = [new Array<number>(windowSize).fill(NONE), new Array<number>(windowSize).fill(0)];
      for (const { depth, code, probability } of draftsOf(run, image, position, last)) {
        codes[depth] = code;
        probabilities[depth] = probability;
      }
      return { codes, probabilities, final: position <= last ? codes[windowSize - 1]! : NONE };
    }),
  );
  return {
    windowSize,
    tokens,
    grid,
    codes: each.map((image) => image.map(({ final }) => final)),
    trace: each.map((image) => image.map(({ codes }) => codes)),
    probabilities: each.map((image) => image.map(({ probabilities }) => probabilities)),
  };
}
