export { loadModel, type ModelDescription, type ModelFolder, modelOf, saveModel } from "./model-folder";
