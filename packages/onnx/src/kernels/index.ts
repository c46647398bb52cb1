import { convolutions } from "./conv";
import { elementwise } from "./elementwise";
import { images } from "./image";
import { indexing } from "./indexing";
import { layouts } from "./layout";
import { matmuls } from "./matmul";
import { reductions } from "./reduction";
import type { Kernels } from "./shared";

/** How each tfjs kernel is written in ONNX operators, by kernel name. */
export const KERNELS: Kernels = {
  ...convolutions,
  ...elementwise,
  ...images,
  ...indexing,
  ...layouts,
  ...matmuls,
  ...reductions,
};
