import { completionCommand, type Program, programManifest } from "@tensorar/cli";
import { captionsCommand } from "./declarations/captions";
import { classifierCommand } from "./declarations/classifier";
import { codesCommand } from "./declarations/codes";
import { convertCommand } from "./declarations/convert";
import { dataCommand } from "./declarations/data";
import { doctorCommand } from "./declarations/doctor";
import { evaluateCommand } from "./declarations/evaluate";
import { finetuneCommand } from "./declarations/finetune";
import { genevalCommand } from "./declarations/geneval";
import { pretrainCommand } from "./declarations/pretrain";
import { reconstructCommand } from "./declarations/reconstruct";
import { reportCommand } from "./declarations/report";
import { sampleCommand } from "./declarations/sample";
import { tokenizerCommand } from "./declarations/tokenizer";

/** `tensorar`: declarations only; what the commands do is loaded when one runs. */
export const program: Program = {
  ...programManifest(new URL("../package.json", import.meta.url)),
  name: "tensorar",
  description: "Autoregressive image generation that refines: train, sample, evaluate.",
  commands: [
    dataCommand,
    tokenizerCommand,
    codesCommand,
    captionsCommand,
    pretrainCommand,
    finetuneCommand,
    sampleCommand,
    classifierCommand,
    evaluateCommand,
    genevalCommand,
    reconstructCommand,
    reportCommand,
    convertCommand,
    doctorCommand,
    completionCommand(() => program),
  ],
};
