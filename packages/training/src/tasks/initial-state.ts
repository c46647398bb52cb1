import type { TensorData } from "@tensorar/core";
import type { TrainingState } from "./task";

/** AdamW's and the moving average's state before the first step: no moments, the average at the parameters. */
export function initialTrainingState(params: Record<string, TensorData>): TrainingState {
  const zeros = Object.fromEntries(
    Object.entries(params).map(([name, { shape, data }]): [string, TensorData] => [
      name,
      { dtype: "float32", shape, data: new Float32Array(data.length) },
    ]),
  );
  return { params, firstMoment: zeros, secondMoment: zeros, ema: params };
}
