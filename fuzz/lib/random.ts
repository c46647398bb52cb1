import { createStream } from "@tensorar/noise";

/** Random choices of one case; the same seed, reader and index give the same ones. */
export interface Random {
  /** Integer in [0, n). */
  below(n: number): number;
  pick<T>(values: readonly T[]): T;
  /** True in one of n cases. */
  oneIn(n: number): boolean;
}

export function caseRandom(seed: number, reader: string, index: number): Random {
  const { below } = createStream(seed, `fuzz/${reader}`, index);
  return {
    below,
    pick: (values) => values[below(values.length)]!,
    oneIn: (n) => below(n) === 0,
  };
}
