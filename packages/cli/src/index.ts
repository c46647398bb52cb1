export { type Progress, TensorARError } from "@tensorar/core";
export { type Command, type CommandBody, defineCommand, type Program } from "./command";
export {
  backboneSetting,
  decimal,
  LARGEST_BATCH,
  MOST,
  oneOrMore,
  overwriteSetting,
  positive,
  seedSetting,
  threadsSetting,
  whole,
} from "./common";
export { completionCommand, completionScript, SHELLS, type Shell } from "./completion";
export { describeMachine, doctorCommand, type Part } from "./doctor";
export { describeFailure, type Failure } from "./failure";
export { fromHub, HUB, type HubRepository, type HubWords } from "./hub-repository";
export { expected, flagOf, type Kind, type NumberKind, type ScalarKind, type Setting, settingsOf } from "./kinds";
export { programManifest } from "./manifest";
export { type Asked, type Condition, onlyWith } from "./only-with";
export { endProgress, startProgress } from "./progress";
export { type Request, readRequest } from "./request";
export { runCommand, runProgram } from "./run-program";
export { draftSettings, guidanceSettings } from "./sampling-settings";
export { readSettings } from "./settings";
export { weights, withWeights } from "./weights";
