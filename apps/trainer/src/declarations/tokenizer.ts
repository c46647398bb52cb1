import { decimal, defineCommand, onlyWith, positive, whole } from "@tensorar/cli";
import { z } from "zod";
import { LARGEST_DEPTH, LARGEST_WIDTH, trainingSettings, vggSetting } from "./settings";

const adversarialSettings = {
  adversarialStart: whole(0)
    .optional()
    .describe("steps before the adversarial losses start; half of all when left out"),
  adaptiveWeight: z
    .boolean()
    .default(true)
    .describe("also weights by the gradients at the decoder's last layer, as LlamaGen does"),
  discriminatorWidth: whole(1, 4096).default(64).describe("channels of the discriminator's first layer"),
  discriminatorLayers: whole(1, 8).default(3).describe("layers of the discriminator that halve the image"),
  discriminatorLoss: z
    .enum(["hinge", "vanilla", "non-saturating"])
    .default("hinge")
    .describe("how the discriminator is trained"),
  generatorLoss: z
    .enum(["hinge", "non-saturating"])
    .default("hinge")
    .describe("how the tokenizer is trained against it"),
};

const schema = z.strictObject({
  data: z.string().describe("prepared data set (written by `tensorar data`)"),
  output: z.string().describe("run folder"),
  kind: z
    .enum(["vq", "magvit2"])
    .default("vq")
    .describe("LlamaGen's VQ autoencoder, or Open-MAGVIT2's lookup-free tokenizer, whose codes are bits"),
  channels: whole(32, LARGEST_WIDTH).multipleOf(32).default(32).describe("width at full resolution"),
  channelMultipliers: z
    .array(whole(1, 2 ** 10))
    .default([1, 2, 4])
    .describe("width factor of each resolution; every further one halves the image"),
  resBlocks: whole(1, LARGEST_DEPTH).default(1).describe("residual blocks at each resolution"),
  latentChannels: whole(1, LARGEST_WIDTH).optional().describe("with --kind vq: width of the encoder's output; 64"),
  codebookSize: whole(1, 2 ** 24)
    .default(512)
    .describe("V; with --kind magvit2 a power of two"),
  codeWidth: whole(1, LARGEST_WIDTH).optional().describe("with --kind vq: dimensions of a code; 8"),
  entropyRatio: decimal(1000).default(0.1).describe("weight of the entropy loss, which keeps codes in use"),
  lpips: z
    .string()
    .optional()
    .describe("adds a perceptual loss: weights of LPIPS (vgg.pth, or safetensors of all of it)"),
  ...onlyWith({ lpips: true }, vggSetting),
  classifier: z
    .string()
    .optional()
    .describe(
      "adds a perceptual loss without LPIPS: features of a classifier of the same images (`tensorar classifier`)",
    ),
  ...onlyWith(
    { lpips: true, classifier: true },
    { perceptualWeight: positive(1000).optional().describe("weight of the perceptual loss; 1 when left out") },
  ),
  adversarialWeight: decimal(1000)
    .default(0)
    .describe("trains against a discriminator with this weight (LlamaGen's is 0.5); 0: without"),
  ...onlyWith({ adversarialWeight: true }, adversarialSettings),
  ...trainingSettings,
});

export type Settings = z.infer<typeof schema>;

export const tokenizerCommand = defineCommand({
  name: "tokenizer",
  description: "train an image tokenizer (LlamaGen's VQ autoencoder, or Open-MAGVIT2's)",
  schema,
  load: async () => (await import("../commands/tokenizer")).command,
});
