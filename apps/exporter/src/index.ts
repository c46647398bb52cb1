export { type ExportManifest, type SessionSettings, TARGETS, type Target } from "@tensorar/manifest";
export { readManifest } from "@tensorar/manifest/node";
export { type BenchOptions, benchExport, type Timing } from "./bench";
export type { Comparison } from "./compare-graph";
export { type ExportOptions, exportFolders } from "./export";
export { comparePrecision, type PrecisionGap, type PrecisionOptions, type QuantizedWeights } from "./precision";
export { writeTriton } from "./triton";
export { type VerifyOptions, verifyExport } from "./verify";
