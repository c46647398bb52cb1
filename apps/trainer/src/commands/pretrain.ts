import type { CommandBody } from "@tensorar/cli";
import { loadCodes } from "@tensorar/data";
import { initLlamaGen, type LlamaGenConfig } from "@tensorar/model";
import { type ModelDescription, modelOf, saveModel } from "@tensorar/model/node";
import { classConditions } from "../conditions/training-conditions";
import type { Settings } from "../declarations/pretrain";
import { chooseEngine } from "../engine/choose-engine";
import { hostParams } from "../folders/host-params";
import { arTask } from "../training/ar-task";
import { recipeOf } from "../training/recipe";
import { inRunFolder } from "../training/run-folder";
import { train } from "../training/train";

export const command: CommandBody<Settings> = {
  async run(settings, signal) {
    const codes = await loadCodes(settings.codes);
    const backbone: LlamaGenConfig = {
      model_type: "c2i",
      dim: settings.width,
      n_layer: settings.layers,
      n_head: settings.heads,
      multiple_of: 64,
      vocab_size: codes.vocabSize,
      block_size: codes.grid[0] * codes.grid[1],
      num_classes: codes.classes.length,
      cls_token_num: 1,
      class_dropout_prob: settings.classDropout,
    };
    const description: ModelDescription = {
      kind: "llamagen",
      backbone,
      tensorar: { windowSize: 1, depth: 1, structure: "maps" },
      noiseRates: [0],
      grid: codes.grid,
      classes: codes.classes,
      training: recipeOf(settings),
    };
    await inRunFolder(settings, recipeOf(settings), async () => {
      const engine = await chooseEngine(settings.engine, settings.threads);
      const initial = hostParams(initLlamaGen(backbone, settings.seed));
      const task = arTask(
        "base model",
        modelOf(description),
        initial,
        codes,
        classConditions(codes.labels, backbone.num_classes),
        {
          ...settings,
          rates: Float64Array.of(0),
          selfShare: 0,
        },
      );
      const state = await train(task, settings, engine, signal);
      await saveModel(settings.out, { ...description, tensors: state.ema! }, settings.precision);
    });
    console.log(`base model written to ${settings.out}`);
  },
};
