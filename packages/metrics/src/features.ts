export { cocoClasses } from "./detector/coco";
export { type Detector, type DetectorOptions, userDetector } from "./detector/detector";
export type { DetectorOutputs } from "./detector/outputs";
export { type Extractor, type ExtractorOptions, userExtractor } from "./extractor/extractor";
export type { Preprocessing } from "./extractor/preprocess";
export type { ResizeFilter } from "./extractor/resize";
export { type TextEncoder, type TextEncoderOptions, userTextEncoder } from "./extractor/text-encoder";
export { type RawImages, type RgbImages, type RgbOptions, toRgbImages } from "./images";
export {
  type InceptionFeatures,
  inceptionFeatures,
  inceptionOutputs,
  type Params,
  resizeForInception,
} from "./inception/inception";
export { inceptionShapes } from "./inception/layout";
export { lpipsShapes } from "./lpips/layout";
export { lpips, lpipsLayers, vggLayers } from "./lpips/lpips";
export type { OnnxRuntime, SessionOptions } from "./runtime/session";
