import { ShapeError } from "@tensorar/core";
import type * as tf from "@tensorflow/tfjs-core";

/**
 * Checks a tensor's shape against letters and numbers: a number must match, a letter names an axis of any size.
 * `expectShape("forward", "windows", x, ["R", "L", 4])`.
 * @throws ShapeError naming the function, the tensor, its shape and the wanted one
 */
export function expectShape(
  where: string,
  name: string,
  tensor: tf.Tensor,
  wanted: readonly (string | number)[],
): number[] {
  const { shape } = tensor;
  const fits =
    shape.length === wanted.length && wanted.every((size, axis) => typeof size === "string" || size === shape[axis]);
  if (!fits) {
    throw new ShapeError(`${where}: ${name} has shape [${shape.join(", ")}]; pass [${wanted.join(", ")}]`);
  }
  return shape;
}
