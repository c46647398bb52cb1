export { type Extractor, type ExtractorOptions, type ExtractorRuntime, userExtractor } from "./extractor/extractor";
export type { Preprocessing } from "./extractor/preprocess";
export type { ResizeFilter } from "./extractor/resize";
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
