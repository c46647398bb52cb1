export { benchExport, type Timing } from "./bench";
export { exportFolders } from "./export";
export { type ExportManifest, readManifest } from "./manifest";
export { type Comparison, verifyExport } from "./verify";
