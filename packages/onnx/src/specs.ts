import { type Entries, flatten, type Nested, TensorARError, type TensorSpec } from "@tensorar/core";
import type { Spec } from "@tensorar/program";
import * as tf from "@tensorflow/tfjs-core";

export const isTensor = (value: unknown): value is tf.Tensor => value instanceof tf.Tensor;

export const isSpec = (value: unknown): value is Spec =>
  typeof value === "object" && value !== null && "dtype" in value && "shape" in value && Array.isArray(value.shape);

const MULTIPLE = /^(?:([1-9]\d*)\*)?([A-Za-z_]\w*)$/;

/** The symbolic dimension that a size is a multiple of. */
export function multipleOf(size: string): { readonly factor: number; readonly name: string } {
  const [, factor = "1", name] = MULTIPLE.exec(size)!;
  return { factor: Number(factor), name: name! };
}

/** The specs by name, checked. */
export function flattenSpecs(specs: Nested<Spec>): Entries<TensorSpec> {
  return flatten(specs, isSpec, "input").map(([name, { dtype, shape }]) => {
    if (dtype !== "float32" && dtype !== "int32" && dtype !== "bool") {
      throw new TensorARError(`input "${name}" has dtype "${dtype}"; use "float32", "int32" or "bool"`);
    }
    for (const dim of shape) {
      const valid = typeof dim === "number" ? Number.isInteger(dim) && dim >= 0 : MULTIPLE.test(dim);
      if (!valid)
        throw new TensorARError(
          `input "${name}" has dimension ${JSON.stringify(dim)}; use a size or a name like "batch"`,
        );
    }
    return [name, { dtype, shape }];
  });
}
