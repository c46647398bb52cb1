export { type PutBytes, replaceFile, writeFileAtomic } from "./files/atomic";
export { checkPackage, type PackageCheck, tryModule } from "./files/check-package";
export { readChecked, type Schema } from "./files/checked-json";
export { CHECKSUMS, checkFolder, writeChecksums } from "./files/checksums";
export { fileError } from "./files/errors";
export { type FolderOptions, writeFolderAtomic } from "./files/folder";
export { expectUnchanged, hashFile } from "./files/hash-file";
export { appendJsonLine, type JsonLines, readJsonLines, toJsonLines } from "./files/json-lines";
export { withLock } from "./files/lock";
export { findOptional, loadOptional, type Places } from "./files/optional";
export {
  checkOutputFile,
  checkOutputFolder,
  type OutputFolder,
  type OutputFolderOptions,
  type OutputOptions,
  openOutputFolder,
} from "./files/output";
export { isAbsent, removeLeftovers, settleFolder } from "./files/temporary";
export { readJson, readText } from "./files/text";
export { weightsFolder } from "./files/weights";
export { inWorkFolder, type WorkFiles, type WorkSettings } from "./files/work-folder";
