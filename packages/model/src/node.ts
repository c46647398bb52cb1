export { type ModelDescription, type ModelFolder, modelOf } from "./model-description";
export { loadModel, saveModel } from "./model-folder";
export { loadBackbone } from "./own-backbone";
