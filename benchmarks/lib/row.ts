/** One line of a benchmark's table. */
export interface Row {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  /** The same quantity of the peer (PyTorch unless the name says otherwise), in the same unit; null: not installed. */
  readonly peer: number | null;
  /** How many times as good as the peer: above 1 we are faster. */
  readonly ratio: number | null;
  /** How many times the least time that this machine's memory or arithmetic allows: 1 is the limit. Null: not applicable. */
  readonly floorRatio: number | null;
}

interface Comparison {
  readonly peer?: number | null | undefined;
  /** The value that the hardware alone would allow, in the same unit. */
  readonly limit?: number | null | undefined;
}

/** A row of something better when smaller, such as a time. */
export function costRow(
  name: string,
  value: number,
  unit: string,
  { peer = null, limit = null }: Comparison = {},
): Row {
  return {
    name,
    value,
    unit,
    peer,
    ratio: peer === null ? null : peer / value,
    floorRatio: limit === null ? null : value / limit,
  };
}

/** A row of something better when larger, such as GFLOP/s. */
export function rateRow(
  name: string,
  value: number,
  unit: string,
  { peer = null, limit = null }: Comparison = {},
): Row {
  return {
    name,
    value,
    unit,
    peer,
    ratio: peer === null ? null : value / peer,
    floorRatio: limit === null ? null : limit / value,
  };
}
