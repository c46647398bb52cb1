export { checkRuntimes, PROVIDER_REMEDIES, type RuntimeCheck, runtimeReason } from "./check-runtimes";
export { loadRuntime, type NodeRuntime } from "./load-runtime";
export { type SaveOptions, saveModel, saveModels } from "./save";
