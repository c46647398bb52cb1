export { openCheckpoint, readCheckpoint } from "./files/checkpoint";
export { type ConvertOptions, type ConvertProgress, convertToSafetensors } from "./files/convert";
export { openSafetensors, readSafetensors, type SafetensorsFile, writeSafetensors } from "./files/safetensors";
export { openTorch } from "./files/torch";
export { type NpzFile, openNpz } from "./npz/open";
export { type RowStream, writeNpz } from "./npz/write";
