import type { Reader } from "../lib/reader";
import { checkpointReaders } from "./checkpoints";
import { folderReaders } from "./folders";
import { imageReaders } from "./images";
import { resultReaders } from "./results";

/** Everything of the product that reads what others wrote. */
export const readers: readonly Reader[] = [...checkpointReaders, ...folderReaders, ...imageReaders, ...resultReaders];
