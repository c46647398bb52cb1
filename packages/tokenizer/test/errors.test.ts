import "./backend";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, test } from "vitest";
import {
  checkVqTensors,
  countCodes,
  decodeVq,
  downsampleOf,
  emptyUsage,
  encodeVq,
  gridOf,
  initVq,
  recordCodes,
  ShapeError,
  TensorARError,
  USAGE_WINDOW,
  type VqConfig,
  vqLosses,
  vqShapes,
} from "../src";
import { randomCodes, randomImages, TINY } from "./tiny";

let params: Record<string, tf.Tensor>;
beforeAll(() => {
  params = initVq(TINY, 1);
});

function expectError(call: () => unknown, kind: typeof TensorARError, message: RegExp): void {
  expect(call).toThrow(kind);
  expect(call).toThrow(message);
}

describe("a configuration", () => {
  test.each<[Partial<Record<keyof VqConfig, unknown>>, RegExp]>([
    [{ codebook_size: 0 }, /codebook_size = 0: use a positive integer/],
    [{ codebook_size: undefined }, /codebook_size/],
    [{ codebook_embed_dim: 2.5 }, /codebook_embed_dim = 2.5/],
    [{ z_channels: "8" }, /z_channels = "8"/],
    [{ ch: 48 }, /ch = 48: GroupNorm has 32 groups; use a multiple of 32/],
    [{ num_res_blocks: 0 }, /num_res_blocks = 0/],
    [{ in_channels: -3 }, /in_channels = -3/],
    [{ commit_loss_beta: Number.NaN }, /commit_loss_beta/],
    [{ entropy_loss_ratio: -1 }, /entropy_loss_ratio = -1: use a number >= 0/],
    [{ codebook_l2_norm: 1 }, /codebook_l2_norm = 1: use true or false/],
    [{ codebook_show_usage: null }, /codebook_show_usage = null/],
    [{ encoder_ch_mult: [] }, /encoder_ch_mult = \[\]/],
    [{ encoder_ch_mult: [1, 0] }, /encoder_ch_mult = \[1,0\]/],
    [{ decoder_ch_mult: [1, 1, 1] }, /decoder_ch_mult = \[1,1,1\]: the encoder has 2 levels/],
    [{ dropout_p: 0.1 }, /dropout_p = 0.1: dropout is not supported; use 0/],
  ])("%o is refused", (changes, message) => {
    const config = { ...TINY, ...changes } as VqConfig;
    for (const call of [() => vqShapes(config), () => initVq(config, 1), () => gridOf(config, 8)]) {
      expectError(call, TensorARError, message);
    }
  });

  test("dropout_p 0 is none", () => {
    expect(vqShapes({ ...TINY, dropout_p: 0 })).toEqual(vqShapes(TINY));
  });
});

describe("image sizes", () => {
  test.each<[number[], number]>([
    [[1], 1],
    [[1, 1], 2],
    [[1, 1, 2, 4], 8],
    [[1, 1, 2, 2, 4], 16],
  ])("levels %j make codes of %i pixels", (levels, factor) => {
    const config = { ...TINY, encoder_ch_mult: levels, decoder_ch_mult: levels };
    expect(downsampleOf(config)).toBe(factor);
    expect(gridOf(config, 3 * factor)).toEqual([3, 3]);
    expect(gridOf(config, [factor, 5 * factor])).toEqual([1, 5]);
  });

  test.each<[number | [number, number], RegExp]>([
    [9, /image of 9 x 9 pixels does not divide into codes of 2 x 2 pixels; resize it to multiples of 2/],
    [[8, 7], /image of 8 x 7 pixels/],
    [0, /image of 0 x 0/],
    [-4, /image of -4 x -4/],
    [Number.NaN, /image of NaN x NaN/],
  ])("%j does not divide", (size, message) => {
    expectError(() => gridOf(TINY, size), ShapeError, message);
  });

  test("encodeVq and vqLosses refuse images that do not divide", () => {
    const images = tf.zeros([1, 6, 7, 3]) as tf.Tensor4D;
    expectError(() => encodeVq(params, TINY, images), ShapeError, /image of 6 x 7 pixels/);
    expectError(() => vqLosses(params, TINY, images), ShapeError, /image of 6 x 7 pixels/);
    images.dispose();
  });
});

test("channels first, or another number of channels, is refused", () => {
  for (const shape of [
    [1, 3, 8, 8],
    [1, 8, 8, 1],
    [8, 8, 3],
  ]) {
    const images = tf.zeros<tf.Rank.R4>(shape as [number, number, number, number]);
    const message = new RegExp(`images have shape \\[${shape}\\]; pass \\[N, height, width, 3\\]`);
    expectError(() => encodeVq(params, TINY, images), ShapeError, message);
    expectError(() => vqLosses(params, TINY, images), ShapeError, message);
    images.dispose();
  }
});

describe("decodeVq", () => {
  test.each<[number[]]>([[[2, 15]], [[32]], [[2, 4, 4]]])("codes of shape %j do not fit a grid of 4 x 4", (shape) => {
    const codes = tf.zeros<tf.Rank.R2>(shape as [number, number], "int32");
    const message = new RegExp(`codes have shape \\[${shape}\\]; pass \\[N, 16\\] for a grid of 4 x 4`);
    expectError(() => decodeVq(params, TINY, codes, [4, 4]), ShapeError, message);
    codes.dispose();
  });

  test.each([-1, TINY.codebook_size])("code %i is out of range", (code) => {
    const codes = tf.tensor2d([0, 1, 2, code], [1, 4], "int32");
    expect(() => decodeVq(params, TINY, codes, [2, 2])).toThrow(
      new RegExp(`index value ${code} is not in \\[0, 23\\]`),
    );
    codes.dispose();
  });

  test("codes must be integers", () => {
    const codes = tf.zeros([1, 4]) as tf.Tensor2D;
    expect(() => decodeVq(params, TINY, codes, [2, 2])).toThrow(/must be int32 tensor, but got float32/);
    codes.dispose();
  });
});

describe("parameters", () => {
  test("a missing one is named", () => {
    const { "post_quant_conv.bias": _, ...rest } = params;
    const codes = randomCodes("codes", [1, 4], TINY.codebook_size);
    const message = /parameter "post_quant_conv\.bias" is missing; load it, or make all with initVq/;
    expectError(() => decodeVq(rest, TINY, codes, [2, 2]), TensorARError, message);
    codes.dispose();
  });

  test.each<[string, (tensors: Record<string, { shape: number[] }>) => void, RegExp]>([
    ["missing", (tensors) => delete tensors["quant_conv.bias"], /"quant_conv\.bias" \[4\] is missing/],
    [
      "misshapen",
      (tensors) => (tensors["quantize.embedding.weight"] = { shape: [4, 24] }),
      /"quantize\.embedding\.weight" is \[4,24\], not \[24,4\]/,
    ],
    ["unexpected", (tensors) => (tensors.extra = { shape: [1] }), /"extra" is not part of the model/],
    [
      "all, counted",
      (tensors) => {
        for (const name of Object.keys(tensors)) delete tensors[name];
      },
      new RegExp(`and ${Object.keys(vqShapes(TINY)).length - 10} more; use the config`),
    ],
  ])("checkVqTensors finds tensors that are %s", (_, change, message) => {
    const tensors = Object.fromEntries(
      Object.entries(vqShapes(TINY)).map(([name, shape]) => [name, { shape: [...shape] }]),
    );
    checkVqTensors(TINY, tensors, "a.safetensors");
    change(tensors);
    expectError(() => checkVqTensors(TINY, tensors, "a.safetensors"), TensorARError, message);
    expect(() => checkVqTensors(TINY, tensors, "a.safetensors")).toThrow(/^a\.safetensors: tensors do not fit/);
  });

  test("the original's memory of codes may be there where the configuration says so", () => {
    const tensors = { ...params, "quantize.codebook_used": { shape: [USAGE_WINDOW] } };
    checkVqTensors(TINY, tensors, "a.pt");
    const without = { ...TINY, codebook_show_usage: false };
    expectError(() => checkVqTensors(without, tensors, "a.pt"), TensorARError, /codebook_used" is not part/);
  });
});

test.each([{ l1: 0, l2: 0 }, { l2: -1 }, { l1: Number.NaN }, { l1: Number.POSITIVE_INFINITY }])(
  "reconstruction weights %j are refused",
  (weights) => {
    const images = randomImages("images", [1, 4, 4, 3]);
    expectError(() => vqLosses(params, TINY, images, weights), TensorARError, /reconstruction weights l2 = .*finite/);
    images.dispose();
  },
);

test("codes that a memory or a codebook has no room for are refused", () => {
  const many = new Int32Array(USAGE_WINDOW + 1);
  expectError(() => recordCodes(emptyUsage(), many), TensorARError, /65537 codes do not fit a memory of 65536/);
  expectError(() => countCodes(Int32Array.of(0, 24), 24), TensorARError, /code 24 is outside \[0, 24\)/);
  expectError(() => countCodes(Int32Array.of(-1), 24), TensorARError, /code -1 is outside \[0, 24\)/);
});
