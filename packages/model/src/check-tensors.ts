import type { TensorData } from "@tensorar/checkpoint";
import { ShapeError, TensorARError } from "@tensorar/core";
import type { ParameterShapes } from "./parameters";

/**
 * Checks that loaded tensors are exactly a model's parameters.
 * @param source where they came from, for the message
 * @throws TensorARError naming a missing, unknown or misshapen tensor
 */
export function checkTensors(
  shapes: ParameterShapes,
  tensors: Readonly<Record<string, Pick<TensorData, "shape">>>,
  source: string,
): void {
  for (const [name, shape] of Object.entries(shapes)) {
    const tensor = tensors[name];
    if (tensor === undefined) {
      throw new TensorARError(`${source}: tensor "${name}" [${shape}] is missing; is this the model of the config?`);
    }
    if (tensor.shape.join() !== shape.join()) {
      throw new ShapeError(
        `${source}: tensor "${name}" has shape [${tensor.shape}], the config asks for [${shape}]; correct the config`,
      );
    }
  }
  const unknown = Object.keys(tensors).find((name) => !Object.hasOwn(shapes, name));
  if (unknown !== undefined) {
    throw new TensorARError(`${source}: tensor "${unknown}" is not part of the model; correct the config or remove it`);
  }
}
