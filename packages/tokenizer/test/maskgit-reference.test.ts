import "./backend";
import { expectTensor, type ReferenceCase, requireCases, valuesOf } from "@tensorar/testing";
import * as tf from "@tensorflow/tfjs-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  createTokenizer,
  decodeMaskgit,
  encodeMaskgit,
  type MaskgitConfig,
  maskgitQuantizerLoss,
  maskgitShapes,
} from "../src";
import { decodeUnclipped } from "../src/maskgit/maskgit";
import { channelsFirst, channelsLast, expectCodes } from "./layout";
import { casesFrom } from "./vq-cases";

const cases = casesFrom("bytedance/1d-tokenizer", "/maskgit_vqgan.py");
requireCases("MaskGIT-VQGAN", cases);

for (const each of cases) describe(each.name, () => parity(each));

/** The quantizer alone, from the original's own latents: a few roundings of float32. */
const ROUNDING = { atol: 1e-9, rtol: 1e-5 };

function parity(given: ReferenceCase): void {
  const {
    expected,
    json: { tolerances },
  } = given;
  const config = given.json.config as MaskgitConfig;
  const tokenizer = createTokenizer({ kind: "maskgit", config });
  const image = expected("image");
  const N = image.shape[0]!;
  const grid = tokenizer.gridOf([image.shape[2]!, image.shape[3]!]);
  const codesOf = (name: string) => tf.tensor2d(given.integers(name), [N, grid[0] * grid[1]], "int32");
  let params: Record<string, tf.Tensor>;
  beforeAll(() => {
    params = given.params();
  });
  afterAll(() => tf.dispose(params));

  test("has the original's parameters", () => {
    expect(maskgitShapes(config)).toEqual(
      Object.fromEntries(given.json.weights!.map(({ name, shape }) => [name, shape])),
    );
  });

  test("encodes, and so does the common interface from [-1, 1]", () => {
    tf.tidy(() => {
      const images = channelsLast(image);
      const { features, codes, quantized } = encodeMaskgit(params, config, images);
      expectTensor("features", channelsFirst(features), expected("encoder_out"), tolerances.encoder_out!);
      const margin = expected("index_margin").data; // the case file's note
      expectCodes(codes.dataSync(), given.integers("indices"), (i) => !(margin[i]! > 1e-3));
      // Rows of the codebook, chosen by the same codes, without any arithmetic.
      expectTensor("quantized", channelsFirst(quantized), expected("quantized"), { atol: 0, rtol: 0 });
      const common = tokenizer.encode(params, tf.sub(tf.mul(images, 2), 1) as tf.Tensor4D);
      expectTensor("features", channelsFirst(common.features), expected("encoder_out"), tolerances.encoder_out!);
      expectCodes(common.codes.dataSync(), given.integers("indices"), (i) => !(margin[i]! > 1e-3));
    });
  });

  test("decodes, and so does the common interface to [-1, 1]", () => {
    const tolerance = tolerances.reconstruction!;
    tf.tidy(() => {
      const unclipped = decodeUnclipped(params, config, codesOf("codes"), grid);
      expectTensor("decoded codes", channelsFirst(unclipped), expected("decoded_codes_unclamped"), tolerance);
      const again = decodeUnclipped(params, config, codesOf("indices"), grid);
      expectTensor("reconstruction", channelsFirst(again), expected("reconstruction_unclamped"), tolerance);
    });
    tf.tidy(() => {
      const decoded = decodeMaskgit(params, config, codesOf("indices"), grid);
      expectTensor("clipped", channelsFirst(decoded), expected("reconstruction"), tolerance);
      const common = tokenizer.decode(params, codesOf("indices"), grid);
      const halved = tf.mul(tf.add(common, 1), 0.5);
      expectTensor("common", channelsFirst(halved), expected("reconstruction"), tolerance);
    });
  });

  test("has the original's quantizer loss and its gradient", () => {
    tf.tidy(() => {
      const latents = channelsLast(expected("encoder_out"));
      const loss = (x: tf.Tensor) => maskgitQuantizerLoss(params, config, x as tf.Tensor4D);
      const { value, grad } = tf.valueAndGrad(loss)(latents);
      expectTensor("loss", valuesOf(value), expected("quantizer_loss"), ROUNDING);
      expectTensor("gradient", channelsFirst(grad), expected("quantizer_loss_grad"), ROUNDING);
    });
  });
}
