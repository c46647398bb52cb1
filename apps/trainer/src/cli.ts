#!/usr/bin/env node
import "./no-telemetry";
import { TensorARError } from "@tensorar/core";
import { Command } from "commander";
import { addCommand } from "./command";
import { codesCommand } from "./declarations/codes";
import { convertCommand } from "./declarations/convert";
import { dataCommand } from "./declarations/data";
import { evaluateCommand } from "./declarations/evaluate";
import { finetuneCommand } from "./declarations/finetune";
import { genevalCommand } from "./declarations/geneval";
import { pretrainCommand } from "./declarations/pretrain";
import { reconstructCommand } from "./declarations/reconstruct";
import { reportCommand } from "./declarations/report";
import { sampleCommand } from "./declarations/sample";
import { tokenizerCommand } from "./declarations/tokenizer";

const interrupt = new AbortController();
process.once("SIGINT", () => {
  console.error("stopping after this step; press Ctrl-C again to stop at once");
  interrupt.abort();
});

const program = new Command("tensorar").description(
  "Autoregressive image generation that refines: train, sample, evaluate.",
);
addCommand(program, dataCommand, interrupt.signal);
addCommand(program, tokenizerCommand, interrupt.signal);
addCommand(program, codesCommand, interrupt.signal);
addCommand(program, pretrainCommand, interrupt.signal);
addCommand(program, finetuneCommand, interrupt.signal);
addCommand(program, sampleCommand, interrupt.signal);
addCommand(program, evaluateCommand, interrupt.signal);
addCommand(program, genevalCommand, interrupt.signal);
addCommand(program, reconstructCommand, interrupt.signal);
addCommand(program, reportCommand, interrupt.signal);
addCommand(program, convertCommand, interrupt.signal);

try {
  await program.parseAsync();
} catch (error) {
  // Bad input of any package carries this name and a message that says what to do; anything else is a bug and keeps its stack.
  if (interrupt.signal.aborted && error === interrupt.signal.reason) {
    console.error("stopped");
    process.exitCode = 130;
  } else if (error instanceof TensorARError) {
    console.error(`error: ${error.message}`);
    process.exitCode = interrupt.signal.aborted ? 130 : 1;
  } else {
    throw error;
  }
}
