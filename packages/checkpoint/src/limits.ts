import { TensorARError } from "@tensorar/core";

/** What a file may ask of memory before any of its tensors is wanted, and at once; hostile and damaged files ask for all of it. */
export interface Limits {
  /** Bytes of a safetensors header or of an index. Default: 32 MiB; the largest published ones are below 1 MB. */
  readonly headerBytes: number;
  /** Bytes of a pickle. Default: 64 MiB. */
  readonly pickleBytes: number;
  /** Bytes that the values of a pickle take in memory, roughly. Default: 512 MiB. */
  readonly pickleMemory: number;
  /** Bytes of a tensor that is read whole. Default: 4 GiB. Streams have no limit. */
  readonly tensorBytes: number;
  /** Bytes of a `.npz` array that is read whole: a few packed ones can hold gigabytes. Default: 1 GiB. Rows have no limit. */
  readonly arrayBytes: number;
}

const DEFAULTS: Limits = {
  headerBytes: 2 ** 25,
  pickleBytes: 2 ** 26,
  pickleMemory: 2 ** 29,
  tensorBytes: 2 ** 32,
  arrayBytes: 2 ** 30,
};

/** @throws TensorARError for a limit that is no number above zero */
export function limitsOf(given: Partial<Limits> = {}): Limits {
  for (const [name, value] of Object.entries(given)) {
    if (!Object.hasOwn(DEFAULTS, name) || !((value as number) > 0))
      throw new TensorARError(
        `limits.${name} = ${value}: give a number above 0 for ${Object.keys(DEFAULTS).join(", ")}`,
      );
  }
  return { ...DEFAULTS, ...given };
}

/** @throws TensorARError naming the option that raises the limit, where `bytes` are over it */
export function expectWithin(limits: Limits, name: keyof Limits, bytes: number, what: string): void {
  if (bytes <= limits[name]) return;
  throw new TensorARError(
    `${what} has ${bytes} bytes, over the limit of ${limits[name]}; raise limits.${name} if you trust it`,
    { code: "limit" },
  );
}
