import { gridOf, initVq, type VqConfig } from "@tensorar/tokenizer";
import { saveTokenizer } from "@tensorar/tokenizer/node";
import { z } from "zod";
import type { CommandDefinition } from "../command";
import { openDataset } from "../data/dataset";
import { chooseEngine } from "../engine/choose-engine";
import { hostParams } from "../folders/host-params";
import { pinRecipe } from "../training/recipe";
import { tokenizerTask } from "../training/tokenizer-task";
import { train } from "../training/train";
import { recipeOf, refuseOverwrite, trainingSettings } from "./settings";

const schema = z.strictObject({
  data: z.string().describe("prepared data set (written by `tensorar data`)"),
  out: z.string().describe("run folder"),
  channels: z.int().positive().multipleOf(32).default(32).describe("width at full resolution"),
  channelMultipliers: z
    .array(z.coerce.number().int().positive())
    .default([1, 2, 4])
    .describe("width factor of each resolution; every further one halves the image"),
  resBlocks: z.int().positive().default(1).describe("residual blocks at each resolution"),
  latentChannels: z.int().positive().default(64).describe("width of the encoder's output"),
  codebookSize: z.int().positive().default(512).describe("V"),
  codeWidth: z.int().positive().default(8).describe("dimensions of a code"),
  entropyRatio: z.number().nonnegative().default(0.1).describe("weight of the entropy loss, which keeps codes in use"),
  ...trainingSettings,
});

export const tokenizerCommand: CommandDefinition<typeof schema.shape> = {
  name: "tokenizer",
  description: "train an image tokenizer (LlamaGen's VQ autoencoder)",
  schema,
  async run(settings, signal) {
    const dataset = await openDataset(settings.data);
    const config: VqConfig = {
      codebook_size: settings.codebookSize,
      codebook_embed_dim: settings.codeWidth,
      codebook_l2_norm: true,
      codebook_show_usage: true,
      commit_loss_beta: 0.25,
      entropy_loss_ratio: settings.entropyRatio,
      encoder_ch_mult: settings.channelMultipliers,
      decoder_ch_mult: settings.channelMultipliers,
      z_channels: settings.latentChannels,
      ch: settings.channels,
      num_res_blocks: settings.resBlocks,
    };
    gridOf(config, dataset.info.size);
    refuseOverwrite(settings.out, settings.resume);
    await pinRecipe(settings.out, recipeOf(settings), settings.resume);
    const engine = await chooseEngine(settings.engine, settings.threads);
    const task = tokenizerTask(config, hostParams(initVq(config, settings.seed)), dataset, settings);
    const state = await train(task, settings, engine, signal);
    await saveTokenizer(
      settings.out,
      { kind: "vq", imageSize: dataset.info.size, config, training: recipeOf(settings), tensors: state.ema! },
      settings.precision,
    );
    console.log(`tokenizer written to ${settings.out}`);
  },
};
