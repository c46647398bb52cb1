import {
  type Backbone,
  LLAMAGEN_SIZES,
  type LlamaGenConfig,
  type LlamaGenSize,
  llamaGen,
  llamaGenConfig,
  RAR_SIZES,
  type RarConfig,
  type RarSize,
  rar,
  rarConfig,
} from "@tensorar/model";
import { MASKGIT_VQGAN_16, OPEN_MAGVIT2_16, type TokenizerSpec, type VqConfig } from "@tensorar/tokenizer";

/** What the checkpoints of an original repository hold. */
export interface Family {
  /** A configuration of its models; absent where only its tokenizer is supported. */
  readonly model?: (config: object) => Backbone;
  /** Its models by their names there. */
  readonly sizes: Readonly<Record<string, (imageSize: number) => object>>;
  /** Its tokenizers by name; the first is the usual one. */
  readonly tokenizers: Readonly<Record<string, TokenizerSpec>>;
  /** Tensors that checkpoints hold beside the parameters: buffers, losses, other parts of the training. */
  readonly ignored: RegExp;
}

const VQ: VqConfig = {
  ...{ codebook_size: 16384, codebook_embed_dim: 8, codebook_l2_norm: true, codebook_show_usage: true },
  ...{ commit_loss_beta: 0.25, entropy_loss_ratio: 0, z_channels: 256 },
  ...{ encoder_ch_mult: [1, 1, 2, 2, 4], decoder_ch_mult: [1, 1, 2, 2, 4] },
};

/** Classes of ImageNet. */
const CLASSES = 1000;

/** Originals by the name that `convert --from` takes. */
export const FAMILIES = {
  // Source: FoundationVision/LlamaGen, the ends of autoregressive/models/gpt.py and tokenizer/tokenizer_image/vq_model.py.
  llamagen: {
    model: (config) => llamaGen(config as LlamaGenConfig), // which checks it
    sizes: Object.fromEntries(
      (Object.keys(LLAMAGEN_SIZES) as LlamaGenSize[]).map((size) => [
        size,
        (imageSize: number) => llamaGenConfig(size, { block_size: (imageSize / 16) ** 2, num_classes: CLASSES }),
      ]),
    ),
    tokenizers: {
      "VQ-16": { kind: "vq", config: VQ },
      "VQ-8": { kind: "vq", config: { ...VQ, encoder_ch_mult: [1, 2, 2, 4], decoder_ch_mult: [1, 2, 2, 4] } },
    },
    ignored: /^(freqs_cis|quantize\.codebook_used)$/,
  },
  // Source: bytedance/1d-tokenizer, configs/training/generator/rar.yaml, README_RAR.md. 256 pixels only.
  rar: {
    model: (config) => rar(config as RarConfig),
    sizes: Object.fromEntries((Object.keys(RAR_SIZES) as RarSize[]).map((size) => [size, () => rarConfig(size)])),
    tokenizers: { "MaskGIT-VQGAN": { kind: "maskgit", config: MASKGIT_VQGAN_16 } },
    ignored: /^(loss\.|attn_mask$)/,
  },
  // Source: TencentARC/SEED-Voken, configs/Open-MAGVIT2. Its checkpoints hold the adversarial loss and a moving average.
  magvit2: {
    sizes: {},
    tokenizers: { "Open-MAGVIT2": { kind: "magvit2", config: OPEN_MAGVIT2_16 } },
    ignored: /^(loss|model_ema|quantize)\./,
  },
} as const satisfies Record<string, Family>;

export type FamilyName = keyof typeof FAMILIES;
export const FAMILY_NAMES = Object.keys(FAMILIES) as FamilyName[];
