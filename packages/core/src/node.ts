export { type PutBytes, replaceFile, writeFileAtomic, writeFolderAtomic } from "./files/atomic";
export { fileError } from "./files/errors";
export { readJson, readText } from "./files/text";
