export { writeFileAtomic, writeFolderAtomic } from "./files/atomic";
export { readJson } from "./files/json";
export { openSafetensors, readSafetensors, type SafetensorsFile, writeSafetensors } from "./files/safetensors";
