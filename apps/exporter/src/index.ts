export { type BenchOptions, benchExport, type Timing } from "./bench";
export { exportFolders } from "./export";
export { type ExportManifest, readManifest } from "./manifest";
export { type Comparison, type VerifyOptions, verifyExport } from "./verify";
