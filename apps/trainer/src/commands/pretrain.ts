import { type CommandBody, startProgress } from "@tensorar/cli";
import { loadCodes } from "@tensorar/data";
import { loadBackbone } from "@tensorar/model/node";
import { pretrainOwnTask, pretrainTask, train } from "@tensorar/training";
import type { Settings } from "../declarations/pretrain";
import { recipeOf } from "../recipe";

export const command: CommandBody<Settings> = {
  async run(settings, signal) {
    const { width, layers, heads } = settings;
    const sizes = { dim: width, n_layer: layers, n_head: heads, multiple_of: 64 };
    const codes = await loadCodes(settings.codes);
    const own = await loadBackbone(settings.backbone);
    await train(own ? pretrainOwnTask(codes, own, settings) : pretrainTask(codes, sizes, settings), {
      ...settings,
      recipe: recipeOf(settings),
      signal,
      progress: startProgress,
      note: console.error,
    });
    console.log(`base model written to ${settings.out}`);
  },
};
