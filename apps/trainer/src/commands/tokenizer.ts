import { type CommandBody, flagOf, startProgress } from "@tensorar/cli";
import { TensorARError } from "@tensorar/core";
import { openDataset } from "@tensorar/data";
import { classifierDistance, loadClassifier } from "@tensorar/evaluation";
import { lpips } from "@tensorar/metrics/features";
import { loadLpips } from "@tensorar/metrics/node";
import { createTokenizer, type TrainableSpec } from "@tensorar/tokenizer";
import { type AdversaryOptions, type PerceptualLoss, tokenizerTask, train } from "@tensorar/training";
import type { Settings } from "../declarations/tokenizer";
import { recipeOf } from "../recipe";

/** @throws TensorARError for two perceptual losses, and a classifier of other images */
async function perceptualOf(
  { lpips: path, vgg, classifier, perceptualWeight: weight = 1 }: Settings,
  size: number,
): Promise<PerceptualLoss | undefined> {
  if (path !== undefined && classifier !== undefined)
    throw new TensorARError("--lpips and --classifier both give a perceptual loss; choose one");
  if (path !== undefined) return { tensors: await loadLpips(path, vgg), distance: lpips, weight };
  if (classifier === undefined) return undefined;
  const { config, tensors } = await loadClassifier(classifier);
  if (config.imageSize !== size)
    throw new TensorARError(
      `${classifier} classifies images of ${config.imageSize} px, the data set holds ${size} px; train one with \`tensorar classifier\``,
    );
  const convolutions = Object.entries(tensors).filter(([name]) => name.startsWith("stages."));
  return {
    tensors: Object.fromEntries(convolutions),
    distance: (params, a, b) => classifierDistance(params, config, a, b),
    weight,
  };
}

function adversaryOf(settings: Settings): AdversaryOptions | undefined {
  const { adversarialWeight, adversarialStart, adaptiveWeight, discriminatorLoss, generatorLoss, steps } = settings;
  if (adversarialWeight === 0) return undefined;
  return {
    discriminator: { ndf: settings.discriminatorWidth, n_layers: settings.discriminatorLayers },
    weight: adversarialWeight,
    start: adversarialStart ?? Math.floor(steps / 2),
    adaptive: adaptiveWeight,
    generatorLoss,
    discriminatorLoss,
  };
}

/** Settings of one kind with what they are when left out. @throws TensorARError where they are given for the other */
function withDefaults(settings: Settings): Settings {
  const { latentChannels = 64, codeWidth = 8 } = settings;
  if (settings.kind === "vq") return { ...settings, latentChannels, codeWidth };
  for (const name of ["latentChannels", "codeWidth"] as const)
    if (settings[name] !== undefined)
      throw new TensorARError(`--${flagOf(name)} ${settings[name]} belongs to --kind vq; leave it out`);
  return settings;
}

/** What `--kind` describes. @throws TensorARError for codes that are no whole number of bits */
function specOf(settings: Settings, resolution: number): TrainableSpec {
  const { codebookSize, channels: ch, channelMultipliers, resBlocks: num_res_blocks, entropyRatio } = settings;
  if (settings.kind === "vq")
    return {
      kind: "vq",
      config: {
        codebook_size: codebookSize,
        codebook_embed_dim: settings.codeWidth!,
        codebook_l2_norm: true,
        codebook_show_usage: true,
        commit_loss_beta: 0.25,
        entropy_loss_ratio: entropyRatio,
        encoder_ch_mult: channelMultipliers,
        decoder_ch_mult: channelMultipliers,
        z_channels: settings.latentChannels!,
        ch,
        num_res_blocks,
      },
    };
  const bits = Math.round(Math.log2(codebookSize));
  if (2 ** bits !== codebookSize || bits < 1)
    throw new TensorARError(
      `--codebook-size ${codebookSize}: codes of --kind magvit2 are bits; use a power of two, such as ${2 ** Math.max(1, bits)}`,
    );
  const images = { double_z: false, resolution, in_channels: 3, out_ch: 3 };
  const sizes = { z_channels: bits, ch, ch_mult: channelMultipliers, num_res_blocks };
  return { kind: "magvit2", config: { ...images, ...sizes, codebook_weight: entropyRatio } };
}

export const command: CommandBody<Settings> = {
  async run(settings, signal) {
    const dataset = await openDataset(settings.data);
    const full = withDefaults(settings);
    const spec = specOf(full, dataset.info.size);
    createTokenizer(spec).gridOf(dataset.info.size);
    const perceptual = await perceptualOf(settings, dataset.info.size);
    const adversary = adversaryOf(settings);
    await train(tokenizerTask(dataset, spec, { ...settings, perceptual, adversary }), {
      ...settings,
      out: settings.output,
      recipe: recipeOf(full),
      signal,
      progress: startProgress,
      note: console.error,
    });
    console.log(`tokenizer written to ${settings.output}`);
  },
};
