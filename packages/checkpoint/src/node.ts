export { writeFileAtomic, writeFolderAtomic } from "./files/atomic";
export { openSafetensors, readSafetensors, type SafetensorsFile, writeSafetensors } from "./files/safetensors";
