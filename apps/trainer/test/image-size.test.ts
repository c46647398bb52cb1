import { expect, test } from "vitest";
import { imageSizeOfName } from "../src/conversion/image-size";

test.each<[string, number | undefined]>([
  ["c2i_B_256.pt", 256],
  ["c2i_XL_384.pt", 384],
  ["t2i_XL_stage2_512.pt", 512],
  ["imagenet_256_L.ckpt", 256],
  ["pretrain256_262144.ckpt", 256],
  ["/models/512/gpt_256.safetensors", 256],
  ["bs512_img256.pt", 256],
  ["img256_bs512.pt", 256],
  ["batch_size_512_res_256.pt", 256],
  ["gpt-b-384px-ep256.pt", 384],
  ["llama_320x320.pt", 320],
  ["image_size_384_512.pt", 384],
  ["step_256.pt", undefined],
  ["bs512.pt", undefined],
  ["epoch=256-step=512.ckpt", undefined],
  ["model_256_512.pt", undefined],
  ["img256_img384.pt", undefined],
  ["gpt_256x512.pt", undefined],
  ["vq_ds16_c2i.pt", undefined],
  ["1256.pt", undefined],
  ["rar_b.bin", undefined],
])("%s says %s", (name, size) => {
  expect(imageSizeOfName(name)).toBe(size);
});
