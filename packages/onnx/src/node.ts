export { type SaveOptions, saveModel, saveModels } from "./save";
