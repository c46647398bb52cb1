import "./backend";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { compile } from "@tensorar/onnx";
import { expectTensor, valuesOf } from "@tensorar/testing";
import * as tf from "@tensorflow/tfjs-core";
import * as ort from "onnxruntime-node";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  checkTokenizerTensors,
  createTokenizer,
  initTokenizer,
  joinCodes,
  ShapeError,
  splitCodes,
  TensorARError,
  TOKENIZER_KINDS,
  type TokenizerSpec,
  withoutPrefix,
} from "../src";
import { decoderLayers as magvit2Decoder, encoderLayers as magvit2Encoder } from "../src/magvit2/layers";
import { decoderLayers as maskgitDecoder, encoderLayers as maskgitEncoder } from "../src/maskgit/layers";
import { runLayers } from "../src/network";
import { loadTokenizer, saveTokenizer, type TokenizerFolder } from "../src/node";
import { leaked } from "./layout";
import { randomCodes, randomImages, TINY } from "./tiny";

const MASKGIT = {
  channel_mult: [1, 2],
  num_resolutions: 2,
  dropout: 0,
  hidden_channels: 32,
  num_channels: 3,
  num_res_blocks: 1,
  resolution: 8,
  z_channels: 8,
  num_embeddings: 24,
  embedding_dim: 8,
  commitment_cost: 0.25,
};
const MAGVIT2 = {
  double_z: false,
  z_channels: 6,
  resolution: 8,
  in_channels: 3,
  out_ch: 3,
  ch: 32,
  ch_mult: [1, 2],
  num_res_blocks: 1,
};
const specs: TokenizerSpec[] = [
  { kind: "vq", config: TINY },
  { kind: "maskgit", config: MASKGIT },
  { kind: "magvit2", config: MAGVIT2 },
];

/** The same arithmetic summed in another order: some roundings of values up to 10. */
const ROUNDING = { atol: 1e-5, rtol: 1e-5 };

test("there is a case of every kind here", () => {
  expect(specs.map(({ kind }) => kind)).toEqual([...TOKENIZER_KINDS]);
});

describe.each(specs)("$kind", (spec) => {
  const tokenizer = createTokenizer(spec);
  const size = [3 * tokenizer.factor, 2 * tokenizer.factor] as const;
  const grid = tokenizer.gridOf(size);
  const T = grid[0] * grid[1];
  let params: Record<string, tf.Tensor>;
  beforeAll(() => {
    params = initTokenizer(spec, 5);
  });
  afterAll(() => tf.dispose(params));
  const images = (count: number) => randomImages(`images ${count}`, [count, ...size, tokenizer.channels]);
  const codes = (count: number) => randomCodes(`codes ${count}`, [count, T], tokenizer.codebookSize);

  test("encodes and decodes images that are not square, each on its own", () => {
    tf.tidy(() => {
      expect(grid).toEqual([3, 2]);
      const batch = images(3);
      const encoded = tokenizer.encode(params, batch);
      expect(encoded.codes.shape).toEqual([3, T]);
      expect(encoded.codes.dtype).toBe("int32");
      expect(encoded.features.shape.slice(0, 3)).toEqual([3, ...grid]);
      expect(encoded.quantized.shape.slice(0, 3)).toEqual([3, ...grid]);
      const values = encoded.codes.dataSync();
      expect(values.every((code) => code >= 0 && code < tokenizer.codebookSize)).toBe(true);
      const decoded = tokenizer.decode(params, encoded.codes, grid);
      expect(decoded.shape).toEqual(batch.shape);
      for (let i = 0; i < 3; i++) {
        const alone = tokenizer.encode(params, tf.slice(batch, [i], [1]) as tf.Tensor4D);
        expect(alone.codes.dataSync()).toEqual(values.slice(i * T, (i + 1) * T));
        const image = tokenizer.decode(params, alone.codes, grid);
        expectTensor("decoded", valuesOf(image), valuesOf(tf.slice(decoded, [i], [1])), ROUNDING);
      }
    });
  });

  test("compiles to ONNX with a symbolic batch, both ways", async () => {
    const options = { runtime: ort, threads: 1 };
    const decode = await compile(
      ({ codes }) => ({ images: tokenizer.decode(params, codes as tf.Tensor2D, grid) }),
      { codes: { dtype: "int32", shape: ["batch", T] } },
      options,
    );
    const encode = await compile(
      ({ images }) => {
        const { codes, features } = tokenizer.encode(params, images as tf.Tensor4D);
        return { codes, features };
      },
      { images: { dtype: "float32", shape: ["batch", ...size, tokenizer.channels] } },
      options,
    );
    for (const count of [1, 3]) {
      const [given, chosen] = [images(count), codes(count)];
      const decoded = (await decode({ codes: chosen })).images;
      const eager = tokenizer.decode(params, chosen, grid);
      expectTensor("decoded", { ...decoded, data: decoded.data as Float32Array }, valuesOf(eager), ROUNDING);
      const compiled = await encode({ images: given });
      const encoded = tokenizer.encode(params, given);
      const features = { ...compiled.features, data: compiled.features.data as Float32Array };
      expectTensor("features", features, valuesOf(encoded.features), ROUNDING);
      expect(compiled.codes.data).toEqual(encoded.codes.dataSync());
      tf.dispose([given, chosen, eager, ...Object.values(encoded)]);
    }
    await Promise.all([encode.dispose(), decode.dispose()]);
  });

  test("leaves no tensors but its results, failing or not", () => {
    const [given, chosen] = [images(2), codes(2)];
    expect(leaked(() => ({ ...tokenizer.encode(params, given) }))).toBe(0);
    expect(leaked(() => tokenizer.decode(params, chosen, grid))).toBe(0);
    const before = tf.memory().numTensors;
    const { "decoder.conv_out.bias": _, "encoder.conv_out.bias": __, ...rest } = params;
    expect(() => tokenizer.encode(rest, given)).toThrow(/"encoder\.conv_out\.bias" is missing/);
    expect(() => tokenizer.decode(rest, chosen, grid)).toThrow(/"decoder\.conv_out\.bias" is missing/);
    expect(tf.memory().numTensors).toBe(before);
    tf.dispose([given, chosen]);
  });

  test("refuses shapes that do not fit", () => {
    const odd = tf.zeros([1, 3, 4, 3]) as tf.Tensor4D;
    const gray = tf.zeros([1, 4, 4, 1]) as tf.Tensor4D;
    const chosen = codes(1);
    expect(() => tokenizer.encode(params, odd)).toThrow(/image of 3 x 4 pixels does not divide/);
    expect(() => tokenizer.encode(params, gray)).toThrow(/images have shape \[1,4,4,1\]; pass \[N, height, width, 3\]/);
    expect(() => tokenizer.decode(params, chosen, [2, 2])).toThrow(/codes have shape \[1,6\]; pass \[N, 4\]/);
    expect(() => tokenizer.gridOf(7)).toThrow(ShapeError);
    tf.dispose([odd, gray, chosen]);
  });

  test("is kept in a folder that says which tokenizer it is", async () => {
    const folder = await mkdtemp(join(tmpdir(), "tensorar-tokenizer-"));
    try {
      const tensors = Object.fromEntries(
        Object.entries(params).map(([name, tensor]) => [
          name,
          { dtype: "float32" as const, shape: tensor.shape, data: tensor.dataSync<"float32">() },
        ]),
      );
      const whole = { ...spec, imageSize: 8, tensors } as TokenizerFolder<TokenizerSpec["kind"]>;
      await saveTokenizer(folder, whole, "float32");
      const { tensors: loaded, ...description } = await loadTokenizer(folder, TOKENIZER_KINDS);
      expect(description).toEqual({ ...spec, imageSize: 8 });
      for (const [name, { shape, data }] of Object.entries(loaded)) {
        expectTensor(name, { shape, data: data as Float32Array }, tensors[name]!, { atol: 0, rtol: 0 });
      }
      const others = TOKENIZER_KINDS.filter((kind) => kind !== spec.kind);
      await expect(loadTokenizer(folder, others)).rejects.toThrow(
        `config.json: a tokenizer of kind "${spec.kind}"; only ${others.join(", ")} will do here`,
      );
      const { "decoder.conv_out.bias": _, ...rest } = loaded;
      expect(() => checkTokenizerTensors(spec, rest, "a.pt")).toThrow(
        /a\.pt: .*"decoder\.conv_out\.bias" \[3\] is missing/,
      );
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});

const networks = {
  "MaskGIT-VQGAN's encoder": { layers: maskgitEncoder(MASKGIT), spec: specs[1]!, input: [2, 8, 8, 3] },
  "MaskGIT-VQGAN's decoder": { layers: maskgitDecoder(MASKGIT), spec: specs[1]!, input: [2, 4, 4, 8] },
  "Open-MAGVIT2's encoder": { layers: magvit2Encoder(MAGVIT2), spec: specs[2]!, input: [2, 8, 8, 3] },
  "Open-MAGVIT2's decoder": { layers: magvit2Decoder(MAGVIT2), spec: specs[2]!, input: [2, 4, 4, 6] },
} as const;

test.each(Object.keys(networks) as (keyof typeof networks)[])("gradients of %s are the slope of a loss", (name) => {
  const { layers, spec, input } = networks[name];
  tf.tidy(() => {
    const params = initTokenizer(spec, 3);
    const names = Object.keys(params).filter((each) =>
      layers.some((layer) => "name" in layer && each.startsWith(`${layer.name}.`)),
    );
    const loss = (x: tf.Tensor, ...tensors: tf.Tensor[]) => {
      const given = Object.fromEntries(names.map((each, i) => [each, tensors[i]!]));
      return tf.mean(tf.square(runLayers(given, layers, x as tf.Tensor4D))) as tf.Scalar;
    };
    const inputs = [randomImages(name, [...input]), ...names.map((each) => params[each]!)];
    const { value, grads } = tf.valueAndGrads(loss)(inputs);
    for (const [i, grad] of grads.entries()) {
      expect(tf.max(tf.abs(grad)).dataSync()[0], ["input", ...names][i]!).toBeGreaterThan(0);
    }
    const squares = grads.map((grad) => tf.sum(tf.square(grad)).dataSync()[0]!).reduce((a, b) => a + b, 0);
    const step = (0.005 * value.dataSync()[0]!) / squares; // takes half a percent off the loss
    const at = (sign: number) =>
      loss(...(inputs.map((each, i) => tf.add(each, tf.mul(grads[i]!, sign * step))) as [tf.Tensor])).dataSync()[0]!;
    // Central differences: 1 up to the third order of the step, and rounding of float32 over half a percent.
    const slope = (at(1) - at(-1)) / (2 * step) / squares;
    expect(slope).toBeGreaterThan(0.99);
    expect(slope).toBeLessThan(1.01);
  });
});

test.each<[TokenizerSpec, RegExp]>([
  [{ kind: "maskgit", config: { ...MASKGIT, num_resolutions: 3 } }, /num_resolutions = 3: channel_mult has 2 levels/],
  [{ kind: "maskgit", config: { ...MASKGIT, embedding_dim: 4 } }, /embedding_dim = 4: .*use 8/],
  [{ kind: "maskgit", config: { ...MASKGIT, dropout: 0.1 } }, /dropout = 0\.1: dropout is not supported/],
  [{ kind: "maskgit", config: { ...MASKGIT, hidden_channels: 40 } }, /hidden_channels = 40: .*multiple of 32/],
  [{ kind: "magvit2", config: { ...MAGVIT2, double_z: true } }, /double_z = true: use false/],
  [{ kind: "magvit2", config: { ...MAGVIT2, z_channels: 25 } }, /z_channels = 25: use a number of bits from 1 to 24/],
  [{ kind: "magvit2", config: { ...MAGVIT2, ch_mult: [] } }, /ch_mult = \[\]: use a list/],
])("a configuration that is not valid is refused: %j", (spec, message) => {
  expect(() => createTokenizer(spec)).toThrow(TensorARError);
  expect(() => createTokenizer(spec)).toThrow(message);
});

test("Open-MAGVIT2 refuses to decode a single code", () => {
  const codes = tf.zeros([1, 1], "int32") as tf.Tensor2D;
  const { decode } = createTokenizer(specs[2]!);
  expect(() => decode({}, codes, [1, 1])).toThrow(/a grid of 1 x 1 has no variance/);
  codes.dispose();
});

test("codes are split into parts and joined, of any number of bits and any shape", () => {
  tf.tidy(() => {
    const codes = tf.tensor2d([0, 1, 63, 64, 2 ** 24 - 1, 123_456], [2, 3], "int32");
    const parts = splitCodes(codes, [6, 12, 6]);
    expect(parts.map((part) => Array.from(part.dataSync()))).toEqual([
      [0, 1, 63, 0, 63, 0],
      [0, 0, 0, 1, 4095, 1929],
      [0, 0, 0, 0, 63, 0],
    ]);
    expect(joinCodes(parts, [6, 12, 6]).arraySync()).toEqual(codes.arraySync());
    expect(() => joinCodes(parts, [6, 18])).toThrow(/3 parts for bits \[6,18\]/);
  });
});

test("withoutPrefix picks what is below a prefix", () => {
  expect(withoutPrefix({ "a.x": 1, "a.y.z": 2, "ab.x": 3 }, "a.")).toEqual({ x: 1, "y.z": 2 });
  expect(() => withoutPrefix({ x: 1 }, "a.")).toThrow(/no parameter begins with "a\."/);
});
