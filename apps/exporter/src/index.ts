export { type BenchOptions, benchExport, type Timing } from "./bench";
export { type ExportOptions, exportFolders } from "./export";
export { type ExportManifest, readManifest } from "./manifest";
export { comparePrecision, type PrecisionGap, type PrecisionOptions, type RoundedWeights } from "./precision";
export { type SessionSettings, TARGETS, type Target } from "./session-settings";
export { writeTriton } from "./triton";
export { type Comparison, type VerifyOptions, verifyExport } from "./verify";
