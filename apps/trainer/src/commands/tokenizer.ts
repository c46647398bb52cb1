import { type CommandBody, startProgress } from "@tensorar/cli";
import { openDataset } from "@tensorar/data";
import { gridOf, type VqConfig } from "@tensorar/tokenizer";
import { tokenizerTask, train } from "@tensorar/training";
import type { Settings } from "../declarations/tokenizer";
import { recipeOf } from "../recipe";

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
    await train(tokenizerTask(dataset, config, settings), {
      ...settings,
      out: settings.output,
      recipe: recipeOf(settings),
      signal,
      progress: startProgress,
      note: console.error,
    });
    console.log(`tokenizer written to ${settings.output}`);
  },
};
