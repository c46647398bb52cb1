import "./backend";
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
import { channelsFirst, channelsLast, expectClose, expectCodes, valuesOf } from "./compare";
import { casesFrom, hashWeights, type ReferenceCase, referenceFolder } from "./reference";

const cases = casesFrom("bytedance/1d-tokenizer", "/maskgit_vqgan.py");
if (cases.length === 0) {
  test.skip(`no MaskGIT-VQGAN cases in ${referenceFolder}: set TENSORAR_REFERENCE to the reference outputs`, () => {});
}
for (const each of cases) describe(each.name, () => parity(each));

/** The quantizer alone, from the original's own latents: a few roundings of float32. */
const ROUNDING = { atol: 1e-9, rtol: 1e-5 };

function parity(given: ReferenceCase): void {
  const { expected, tolerances } = given;
  const config = given.file.config as MaskgitConfig;
  const tokenizer = createTokenizer({ kind: "maskgit", config });
  const image = expected("image");
  const N = image.shape[0]!;
  const grid = tokenizer.gridOf([image.shape[2]!, image.shape[3]!]);
  const codesOf = (name: string) => tf.tensor2d(given.integers(name), [N, grid[0] * grid[1]], "int32");
  let params: Record<string, tf.Tensor>;
  beforeAll(() => {
    params = hashWeights(given);
  });
  afterAll(() => tf.dispose(params));

  test("has the original's parameters", () => {
    expect(maskgitShapes(config)).toEqual(Object.fromEntries(given.weights.map(({ name, shape }) => [name, shape])));
  });

  test("encodes, and so does the common interface from [-1, 1]", () => {
    tf.tidy(() => {
      const images = channelsLast(image);
      const { features, codes, quantized } = encodeMaskgit(params, config, images);
      expectClose("features", channelsFirst(features), expected("encoder_out"), tolerances.encoder_out!);
      const margin = expected("index_margin").data; // the case file's note
      expectCodes(codes.dataSync(), given.integers("indices"), (i) => !(margin[i]! > 1e-3));
      // Rows of the codebook, chosen by the same codes, without any arithmetic.
      expectClose("quantized", channelsFirst(quantized), expected("quantized"), { atol: 0, rtol: 0 });
      const common = tokenizer.encode(params, tf.sub(tf.mul(images, 2), 1) as tf.Tensor4D);
      expectClose("features", channelsFirst(common.features), expected("encoder_out"), tolerances.encoder_out!);
      expectCodes(common.codes.dataSync(), given.integers("indices"), (i) => !(margin[i]! > 1e-3));
    });
  });

  test("decodes, and so does the common interface to [-1, 1]", () => {
    const tolerance = tolerances.reconstruction!;
    tf.tidy(() => {
      const unclipped = decodeUnclipped(params, config, codesOf("codes"), grid);
      expectClose("decoded codes", channelsFirst(unclipped), expected("decoded_codes_unclamped"), tolerance);
      const again = decodeUnclipped(params, config, codesOf("indices"), grid);
      expectClose("reconstruction", channelsFirst(again), expected("reconstruction_unclamped"), tolerance);
    });
    tf.tidy(() => {
      const decoded = decodeMaskgit(params, config, codesOf("indices"), grid);
      expectClose("clipped", channelsFirst(decoded), expected("reconstruction"), tolerance);
      const common = tokenizer.decode(params, codesOf("indices"), grid);
      const halved = tf.mul(tf.add(common, 1), 0.5);
      expectClose("common", channelsFirst(halved), expected("reconstruction"), tolerance);
    });
  });

  test("has the original's quantizer loss and its gradient", () => {
    tf.tidy(() => {
      const latents = channelsLast(expected("encoder_out"));
      const loss = (x: tf.Tensor) => maskgitQuantizerLoss(params, config, x as tf.Tensor4D);
      const { value, grad } = tf.valueAndGrad(loss)(latents);
      expectClose("loss", valuesOf(value), expected("quantizer_loss"), ROUNDING);
      expectClose("gradient", channelsFirst(grad), expected("quantizer_loss_grad"), ROUNDING);
    });
  });
}
