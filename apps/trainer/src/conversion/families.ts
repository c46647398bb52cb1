import {
  type Backbone,
  type Condition,
  JANUS_SIZES,
  type JanusConfig,
  type JanusSize,
  janus,
  janusConfig,
  LLAMAGEN_SIZES,
  type LlamaGenConfig,
  type LlamaGenSize,
  llamaGen,
  llamaGenConfig,
  llamaGenTextConfig,
  MAGVIT2_AR_SIZES,
  type Magvit2ArConfig,
  type Magvit2ArSize,
  magvit2Ar,
  magvit2ArConfig,
  RAR_SIZES,
  type RarConfig,
  type RarSize,
  rar,
  rarConfig,
} from "@tensorar/model";
import { MASKGIT_VQGAN_16, OPEN_MAGVIT2_16, type TokenizerSpec, type VqConfig } from "@tensorar/tokenizer";
import type { FamilyName } from "./family-names";

/** The weights themselves, or their moving average. */
export type WeightsKind = "model" | "ema";

/** What the checkpoints of an original repository hold. */
export interface Family {
  readonly model: (config: object) => Backbone<Condition>;
  /** Its models by their names there. */
  readonly sizes: Readonly<Record<string, (imageSize: number) => object>>;
  /** Its tokenizers by name; the first is the usual one. */
  readonly tokenizers: Readonly<Record<string, TokenizerSpec>>;
  /** Which weights the original itself takes where a checkpoint holds a moving average too: of its models, and of its tokenizers. */
  readonly usual: { readonly model: WeightsKind; readonly tokenizer: WeightsKind };
  /** In pixels, where there is only one. */
  readonly imageSize?: number;
  /** Tensors that checkpoints hold beside the parameters: buffers, losses, other parts of the training. */
  readonly ignored: RegExp;
}

const VQ: VqConfig = {
  codebook_size: 16384,
  codebook_embed_dim: 8,
  codebook_l2_norm: true,
  codebook_show_usage: true,
  commit_loss_beta: 0.25,
  entropy_loss_ratio: 0,
  z_channels: 256,
  encoder_ch_mult: [1, 1, 2, 2, 4],
  decoder_ch_mult: [1, 1, 2, 2, 4],
};

/** Classes of ImageNet. */
const CLASSES = 1000;

/** Originals by the name that `convert --from` takes. */
export const FAMILIES = {
  // Source: FoundationVision/LlamaGen, the ends of autoregressive/models/gpt.py and tokenizer/tokenizer_image/vq_model.py.
  llamagen: {
    model: (config) => llamaGen(config as LlamaGenConfig), // which checks it
    sizes: {
      ...Object.fromEntries(
        (Object.keys(LLAMAGEN_SIZES) as LlamaGenSize[]).map((size) => [
          size,
          (imageSize: number) => llamaGenConfig(size, { block_size: (imageSize / 16) ** 2, num_classes: CLASSES }),
        ]),
      ),
      "GPT-XL-t2i": (imageSize) => llamaGenTextConfig("GPT-XL", { block_size: (imageSize / 16) ** 2 }),
    },
    tokenizers: {
      "VQ-16": { kind: "vq", config: VQ },
      "VQ-8": { kind: "vq", config: { ...VQ, encoder_ch_mult: [1, 2, 2, 4], decoder_ch_mult: [1, 2, 2, 4] } },
    },
    // autoregressive/sample/sample_c2i.py takes "model"; tokenizer_image/reconstruction_vq_ddp.py and vq_demo.py take "ema" first.
    usual: { model: "model", tokenizer: "ema" },
    ignored: /^(freqs_cis|quantize\.codebook_used)$/,
  },
  // Source: bytedance/1d-tokenizer, configs/training/generator/rar.yaml, README_RAR.md. 256 pixels only.
  rar: {
    model: (config) => rar(config as RarConfig),
    sizes: Object.fromEntries((Object.keys(RAR_SIZES) as RarSize[]).map((size) => [size, () => rarConfig(size)])),
    tokenizers: { "MaskGIT-VQGAN": { kind: "maskgit", config: MASKGIT_VQGAN_16 } },
    // utils/train_utils.py generates under ema_model.copy_to; the tokenizer is published without an average.
    usual: { model: "ema", tokenizer: "model" },
    imageSize: 256,
    ignored: /^(loss\.|attn_mask$)/,
  },
  // Source: TencentARC/SEED-Voken, configs/Open-MAGVIT2. Checkpoints of the model hold its tokenizer too, those of the
  // tokenizer the adversarial loss and a moving average.
  magvit2: {
    model: (config) => magvit2Ar(config as Magvit2ArConfig),
    sizes: Object.fromEntries(
      (Object.keys(MAGVIT2_AR_SIZES) as Magvit2ArSize[]).map((size) => [size, () => magvit2ArConfig(size)]),
    ),
    tokenizers: { "Open-MAGVIT2": { kind: "magvit2", config: OPEN_MAGVIT2_16 } },
    // Open_MAGVIT2/models/lfqgan.py, init_from_ckpt and ema_scope in evaluation_image.py; the model keeps no average.
    usual: { model: "model", tokenizer: "ema" },
    ignored: /^(loss|model_ema|quantize)\./,
  },
  // Source: deepseek-ai/Janus, config.json of the published models. One checkpoint holds all.
  janus: {
    model: (config) => janus(config as JanusConfig),
    sizes: Object.fromEntries((Object.keys(JANUS_SIZES) as JanusSize[]).map((size) => [size, () => janusConfig(size)])),
    tokenizers: { "VQ-16": { kind: "vq", config: VQ } },
    usual: { model: "model", tokenizer: "model" }, // published without an average
    imageSize: 384,
    ignored:
      /^(vision_model|aligner|gen_vision_model)\.|^language_model\.lm_head\.|rotary_emb\.inv_freq$|codebook_used$/,
  },
} as const satisfies Record<FamilyName, Family>;
