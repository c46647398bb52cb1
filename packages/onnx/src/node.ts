export { loadRuntime, type NodeRuntime } from "./load-runtime";
export { type SaveOptions, saveModel, saveModels } from "./save";
