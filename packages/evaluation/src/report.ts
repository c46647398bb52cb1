export { buildReport } from "./report/build-report";
export { type EvaluationResults, evaluationPage, metricRows, type Shown } from "./report/evaluation-page";
export { genEvalPage, genEvalTable } from "./report/geneval-page";
export { codesByDepth } from "./report/refinement-picture";
export { openRunFolder, type RunFolder, type SampleSet } from "./report/run-folder";
