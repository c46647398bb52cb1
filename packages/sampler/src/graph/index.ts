export type { GraphDrafts } from "./drafts";
export type { GraphSampling } from "./generate";
export type { GraphGuidance } from "./guidance";
export { checkGraphSampling, type GenerationLoopOptions, generationLoop, type SampledModel } from "./loop";
