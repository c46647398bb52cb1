export { TensorARError } from "@tensorar/core";
export {
  DECODER,
  DEVICE_RESIDENT,
  EXPORT_KIND,
  GENERATION,
  GRAPHS,
  type GraphFile,
  IMAGE_DECODER,
  NEXT_SUB_TOKEN,
} from "./files";
export { conditionOf, type ExportManifest, fetchManifest, type GraphPorts, ONLY, parseManifest } from "./manifest";
export { type SessionSettings, TARGETS, type Target } from "./session-settings";
