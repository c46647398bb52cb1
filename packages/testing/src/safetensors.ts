import { readFileSync } from "node:fs";

/** A tensor of a reference file, row-major. */
export interface StoredTensor {
  readonly dtype: "float32" | "float64" | "int32" | "int64" | "uint8" | "bool";
  readonly shape: readonly number[];
  readonly data: Float32Array | Float64Array | Int32Array | BigInt64Array | Uint8Array;
}

const TYPES: Readonly<Record<string, readonly [StoredTensor["dtype"], (bytes: ArrayBuffer) => StoredTensor["data"]]>> =
  {
    F32: ["float32", (bytes) => new Float32Array(bytes)],
    F64: ["float64", (bytes) => new Float64Array(bytes)],
    I32: ["int32", (bytes) => new Int32Array(bytes)],
    I64: ["int64", (bytes) => new BigInt64Array(bytes)],
    U8: ["uint8", (bytes) => new Uint8Array(bytes)],
    BOOL: ["bool", (bytes) => new Uint8Array(bytes)],
  };

/** All tensors of a file. A reader of its own, so that expected values do not pass through the code under test. */
export function readStored(path: string): Record<string, StoredTensor> {
  const bytes = new Uint8Array(readFileSync(path));
  const header = 8 + Number(new DataView(bytes.buffer).getBigUint64(0, true));
  const { __metadata__: _, ...entries } = JSON.parse(new TextDecoder().decode(bytes.subarray(8, header))) as Record<
    string,
    { dtype: string; shape: number[]; data_offsets: [number, number] }
  >;
  return Object.fromEntries(
    Object.entries(entries).map(([name, { dtype, shape, data_offsets: range }]) => {
      const type = TYPES[dtype];
      if (!type) throw new Error(`${path}: ${name} is ${dtype}; teach this reader that type`);
      const data = type[1](bytes.slice(header + range[0], header + range[1]).buffer);
      return [name, { dtype: type[0], shape, data }];
    }),
  );
}
