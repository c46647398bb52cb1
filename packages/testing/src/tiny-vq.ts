/**
 * The configuration of LlamaGen's VQ autoencoder as small as its architecture allows: 16 codes, each of 2 × 2 pixels. Typed by
 * where it is used, since this package is below all others.
 */
export const TINY_VQ = {
  codebook_size: 16,
  codebook_embed_dim: 4,
  codebook_l2_norm: true,
  codebook_show_usage: false,
  commit_loss_beta: 0.25,
  entropy_loss_ratio: 0,
  encoder_ch_mult: [1, 1],
  decoder_ch_mult: [1, 1],
  z_channels: 32,
  ch: 32,
  num_res_blocks: 1,
};
