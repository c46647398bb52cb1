import { optionsCall, testOptions } from "@tensorar/testing/options";
import {
  createTokenizer,
  downsampleOf,
  MASKGIT_VQGAN_16,
  magvit2Shapes,
  maskgitShapes,
  OPEN_MAGVIT2_16,
  vqShapes,
} from "../src/index";

const VQ = {
  codebook_size: 16,
  codebook_embed_dim: 4,
  codebook_l2_norm: true,
  codebook_show_usage: true,
  commit_loss_beta: 0.25,
  entropy_loss_ratio: 0,
  encoder_ch_mult: [1, 2],
  decoder_ch_mult: [1, 2],
  z_channels: 32,
  ch: 32,
  num_res_blocks: 1,
  in_channels: 3,
};

testOptions({
  "createTokenizer of vq": optionsCall({ kind: "vq" as const, config: VQ }, createTokenizer),
  "createTokenizer of maskgit": optionsCall({ kind: "maskgit" as const, config: MASKGIT_VQGAN_16 }, createTokenizer),
  "createTokenizer of magvit2": optionsCall({ kind: "magvit2" as const, config: OPEN_MAGVIT2_16 }, createTokenizer),
  vqShapes: optionsCall(VQ, vqShapes),
  downsampleOf: optionsCall(VQ, downsampleOf),
  maskgitShapes: optionsCall(MASKGIT_VQGAN_16, maskgitShapes),
  magvit2Shapes: optionsCall(OPEN_MAGVIT2_16, magvit2Shapes),
});
