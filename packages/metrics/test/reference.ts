import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const REPOSITORY = fileURLToPath(new URL("../../../", import.meta.url));

/** Folder of expected outputs of the original code. */
export const referenceFolder = resolve(REPOSITORY, process.env.TENSORAR_REFERENCE ?? "../shared/reference");

export interface Tolerance {
  readonly atol: number;
  readonly rtol: number;
}

export interface StoredTensor {
  readonly shape: readonly number[];
  readonly data: Float32Array | Float64Array | Int32Array;
}

export interface MetricCase {
  readonly name: string;
  /** Numbers that the original code returned, by metric. */
  readonly expected: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  readonly tolerances: Readonly<Record<string, Tolerance>>;
  readonly tensors: Readonly<Record<string, StoredTensor>>;
}

/** Every case that holds Fréchet distances, by content and not by name. Empty without the folder. */
export function metricCases(): MetricCase[] {
  if (!existsSync(referenceFolder)) return [];
  return readdirSync(referenceFolder, { recursive: true, encoding: "utf8" })
    .filter((path) => path.endsWith(".json") && existsSync(join(referenceFolder, path.replace(/json$/, "safetensors"))))
    .sort()
    .flatMap((path) => {
      const json = JSON.parse(readFileSync(join(referenceFolder, path), "utf8")) as Partial<MetricCase>;
      const { expected, tolerances } = json;
      if (!expected || !tolerances || !Object.values(expected).some(isFrechet)) return [];
      const tensors = readTensors(join(referenceFolder, path.replace(/json$/, "safetensors")));
      return [{ name: path.replace(/\.json$/, ""), expected, tolerances, tensors }];
    });
}

/** Whether expected numbers are of a Fréchet distance. */
export const isFrechet = (numbers: unknown): boolean =>
  typeof numbers === "object" && numbers !== null && "frechet_eigen_all_float64" in numbers;

const READERS: Readonly<Record<string, (bytes: ArrayBuffer) => StoredTensor["data"]>> = {
  F32: (bytes) => new Float32Array(bytes),
  F64: (bytes) => new Float64Array(bytes),
  I32: (bytes) => new Int32Array(bytes),
};

// Written out, because this package imports nothing.
function readTensors(path: string): Record<string, StoredTensor> {
  const bytes = new Uint8Array(readFileSync(path));
  const header = 8 + Number(new DataView(bytes.buffer).getBigUint64(0, true));
  const { __metadata__: _, ...entries } = JSON.parse(new TextDecoder().decode(bytes.subarray(8, header))) as Record<
    string,
    { dtype: string; shape: number[]; data_offsets: [number, number] }
  >;
  return Object.fromEntries(
    Object.entries(entries).map(
      ([
        name,
        {
          dtype,
          shape,
          data_offsets: [begin, end],
        },
      ]) => {
        const read = READERS[dtype];
        if (!read) throw new Error(`${path}: ${name} is ${dtype}; teach this reader that type`);
        return [name, { shape, data: read(bytes.slice(header + begin, header + end).buffer) }];
      },
    ),
  );
}
