export { runAnyProgram, runProgram, toHost, toTensors } from "./host";
export {
  type AnyProgram,
  type Branches,
  float32,
  type HostTensors,
  int32,
  type Program,
  type ProgramPart,
  type Spec,
  type TensorFunction,
  type Tensors,
} from "./program";
export { withGradient } from "./with-gradient";
