import type { CommandBody } from "@tensorar/cli";
import { openDataset } from "@tensorar/data";
import { gridOf, initVq, type VqConfig } from "@tensorar/tokenizer";
import { saveTokenizer } from "@tensorar/tokenizer/node";
import type { Settings } from "../declarations/tokenizer";
import { chooseEngine } from "../engine/choose-engine";
import { hostParams } from "../folders/host-params";
import { recipeOf } from "../training/recipe";
import { inRunFolder } from "../training/run-folder";
import { tokenizerTask } from "../training/tokenizer-task";
import { train } from "../training/train";

export const command: CommandBody<Settings> = {
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
    await inRunFolder(settings, recipeOf(settings), async () => {
      const engine = await chooseEngine(settings.engine, settings.threads);
      const task = tokenizerTask(config, hostParams(initVq(config, settings.seed)), dataset, settings);
      const state = await train(task, settings, engine, signal);
      await saveTokenizer(
        settings.out,
        { kind: "vq", imageSize: dataset.info.size, config, training: recipeOf(settings), tensors: state.ema! },
        settings.precision,
      );
    });
    console.log(`tokenizer written to ${settings.out}`);
  },
};
