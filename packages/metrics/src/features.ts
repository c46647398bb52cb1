export {
  type InceptionFeatures,
  inceptionFeatures,
  inceptionOutputs,
  type Params,
  resizeForInception,
} from "./inception/inception";
export { inceptionShapes } from "./inception/layout";
export { lpips, lpipsLayers, lpipsShapes, vggLayers } from "./lpips/lpips";
