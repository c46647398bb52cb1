import { elementwise } from "./elementwise";
import { indexing } from "./indexing";
import { layouts } from "./layout";
import { matmuls } from "./matmul";
import { reductions } from "./reduction";
import type { Kernels } from "./shared";

/** How each tfjs kernel is written in ONNX operators, by kernel name. */
export const KERNELS: Kernels = { ...elementwise, ...indexing, ...layouts, ...matmuls, ...reductions };
