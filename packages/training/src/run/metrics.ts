import type { TensorData } from "@tensorar/core";

/** Scalars by name, and the entries of vectors by name and index. */
export const numbersOf = (metrics: Readonly<Record<string, TensorData>>): Record<string, number> =>
  Object.fromEntries(
    Object.entries(metrics).flatMap(([name, { shape, data }]) =>
      shape.length === 0
        ? [[name, Number(data[0])]]
        : Array.from(data as Float32Array, (value, i) => [`${name}${i}`, value]),
    ),
  );
