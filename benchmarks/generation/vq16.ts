import type { VqConfig } from "@tensorar/tokenizer";

/** LlamaGen's VQ-16. */
export const VQ16: VqConfig = {
  codebook_size: 16384,
  codebook_embed_dim: 8,
  codebook_l2_norm: true,
  codebook_show_usage: false,
  commit_loss_beta: 0.25,
  entropy_loss_ratio: 0,
  z_channels: 256,
  encoder_ch_mult: [1, 1, 2, 2, 4],
  decoder_ch_mult: [1, 1, 2, 2, 4],
};
