export { TensorARError } from "@tensorar/core";
export { AUGMENTATION_INDEX, AUGMENTED, type AugmentationSource, type AugmentedCodes } from "./codes/augmented-codes";
export { type AugmentedCodesOptions, announceAugmentedCodes, writeAugmentedCodes } from "./codes/augmented-writer";
export { CODES_FILES, type Codes, loadCodes, saveCodes } from "./codes/codes-folder";
export { type BatchAddress, batchIndices } from "./dataset/batches";
export { type Dataset, openDataset } from "./dataset/dataset";
export type { DatasetInfo } from "./dataset/format";
export { type PrepareOptions, prepareDataset } from "./dataset/prepare";
export { hashPosition, SPLITS, type Split, type SplitIndices } from "./dataset/split";
export { captionOf, plainText } from "./files/captions";
export {
  type BadImage,
  type DecodeImageOptions,
  decodeImage,
  type RgbImage,
  tryDecodeImage,
} from "./files/decode-image";
export { readImageFile } from "./files/image-file";
export {
  createTally,
  describeCounts,
  describeLeftOut,
  type ImageCounts,
  type LeftOut,
  leftOutSchema,
  type Tally,
  UNREADABLE,
} from "./files/left-out";
export { type FolderContents, type Found, listFolder, listImages } from "./files/list-images";
export { byName } from "./files/natural-order";
export { readLines } from "./files/read-lines";
export { resizeBicubic } from "./images/bicubic";
export { flipHalf } from "./images/flip";
export { type GridOptions, imageGrid, savePng, toDataUri } from "./images/grid";
export { datasetImages, type ImageBatch, type ImageStream, openImages } from "./images/image-stream";
export { movedImage } from "./images/move";
export { type ImageShape, toFloatImages, toPixels } from "./images/pixels";
export { enlargedSize, imageVariants, type VariantOptions, variantCount } from "./images/variants";
export { DEFAULT_IMAGE_OPTIONS, type ImageLimits, type ImageOptions, type OnBadImage } from "./limits";
export type { SampleRows } from "./samples/sample-rows";
export { openSamples, type Samples } from "./samples/samples-folder";
export {
  gridPath,
  holdsSamples,
  refinementPath,
  SAMPLES_ENTRIES,
  type SamplesDescription,
  SHARD_SIZE,
} from "./samples/samples-manifest";
export { completeSamples, type Forms, writePngs } from "./samples/samples-pictures";
export {
  beginSamples,
  continueSamples,
  expectSamples,
  type OnShard,
  type SamplesWriter,
} from "./samples/samples-writer";
export { csvSource } from "./sources/csv-source";
export { type DecodeOptions, decodeSource, type Sample, type SkippedImage } from "./sources/decode";
export { type FolderOptions, folderSource } from "./sources/folder-source";
export type { Attribution, ImageSource, SourceEntry } from "./sources/source";
export { webDatasetSource } from "./sources/webdataset-source";
export { withTest } from "./sources/with-test";
