import type { TensorData } from "@tensorar/core";
import type { TrainingState } from "./task";

/**
 * AdamW's and the moving average's state before the first step: no moments, the average at the parameters.
 * @param isFrozen as `optimize` has it: a parameter that it names has no moments
 */
export function initialTrainingState(
  params: Record<string, TensorData>,
  isFrozen: (name: string) => boolean = () => false,
): TrainingState {
  const moving = Object.entries(params).filter(([name]) => !isFrozen(name));
  const zeros = Object.fromEntries(
    moving.map(([name, { shape, data }]): [string, TensorData] => [
      name,
      { dtype: "float32", shape, data: new Float32Array(data.length) },
    ]),
  );
  return { params, firstMoment: zeros, secondMoment: zeros, ema: params };
}
