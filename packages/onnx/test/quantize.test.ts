import { fromBinary, toBinary } from "@bufbuild/protobuf";
import "@tensorflow/tfjs";
import * as tf from "@tensorflow/tfjs-core";
import * as ort from "onnxruntime-node";
import { afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import {
  compile,
  openModel,
  type Quantization,
  roundWeight,
  serializeModel,
  TensorARError,
  type TensorData,
  trace,
  weightFormats,
  withFloatActivations,
} from "../src";
import { ModelProtoSchema } from "../src/generated/onnx_pb";

beforeAll(async () => {
  await tf.setBackend("cpu");
});
beforeEach(() => tf.engine().startScope());
afterEach(() => tf.engine().endScope());

const rows = { dtype: "float32", shape: ["batch", 70] } as const; // 70: the last block of a row is not full
const wave = (length: number, speed: number) => Float32Array.from({ length }, (_, i) => Math.sin(speed * i * i + i));
const product = (weight: tf.Tensor) => (inputs: { x: tf.Tensor }) => ({
  y: tf.matMul(inputs.x as tf.Tensor2D, weight as tf.Tensor2D, false, true),
});

/** What the codes and factors in the model stand for. */
function storedWeights(model: ReturnType<typeof trace>, bits: number, blockSize: number) {
  const node = model.graph.nodes.find(({ op }) => op === "MatMulNBits")!;
  const data = (i: number) => (node.inputs[i]!.source as { data: ArrayLike<number> }).data;
  const { N, K } = node.attributes as { N: number; K: number };
  const [codes, scales] = [data(1), data(2)];
  const blocks = Math.ceil(K / blockSize);
  return Float64Array.from({ length: N * K }, (_, at) => {
    const [row, column] = [Math.floor(at / K), at % K];
    const block = row * blocks + Math.floor(column / blockSize);
    const i = column % blockSize;
    const code =
      bits === 8 ? codes[block * blockSize + i]! : (codes[(block * blockSize + i) >> 1]! >> (4 * (i & 1))) & 15;
    return (code - 2 ** (bits - 1)) * scales[block]!;
  });
}

test.each([
  { bits: 4, blockSize: 16 },
  { bits: 4, blockSize: 32 },
  { bits: 8, blockSize: 32 },
  { bits: 8, blockSize: 64 },
] as const)(
  "$bits bits in blocks of $blockSize: near the weights, and what the runtime computes with",
  async (given) => {
    const [N, K, batch] = [24, 70, 3];
    const original = wave(N * K, 0.37);
    const weight = tf.tensor(original, [N, K]);
    const quantize = { ...given, activations: "float32" } as const;
    const stored = storedWeights(trace(product(weight), { x: rows }, { quantize }), given.bits, given.blockSize);
    const step = 1 / 2 ** (given.bits - 1); // of blocks whose largest weight is 1; one whole step at the clipped end
    for (const [i, value] of original.entries())
      expect(Math.abs(stored[i]! - value)).toBeLessThanOrEqual(step * 1.0001);

    const run = await compile(product(weight), { x: rows }, { runtime: ort, quantize });
    const x = wave(batch * K, 0.11);
    const { y } = await run({ x: { dtype: "float32", shape: [batch, K], data: x } });
    await run.dispose();
    for (let row = 0; row < batch; row++) {
      for (let column = 0; column < N; column++) {
        let sum = 0;
        for (let k = 0; k < K; k++) sum += x[row * K + k]! * stored[column * K + k]!;
        // float32 sums of 70 terms of size 1
        expect(Math.abs((y.data as Float32Array)[row * N + column]! - sum)).toBeLessThan(5e-5);
      }
    }
  },
);

test.each([
  [4, 256, 32],
  [8, 256, 128],
  [8, 192, 64],
  [8, 96, 32],
  [8, 40, 32],
] as const)("%i bits, rows of %i: blocks of %i where nothing is said", (bits, K, block) => {
  const weight = tf.tensor(wave(8 * K, 0.37), [8, K]);
  const { nodes } = trace(
    product(weight),
    { x: { dtype: "float32", shape: ["batch", K] } },
    { quantize: { bits } },
  ).graph;
  expect(nodes.find(({ op }) => op === "MatMulNBits")!.attributes.block_size).toBe(block);
});

test("activations in 8 bits stay near", async () => {
  const [N, K] = [32, 64];
  const weight = tf.tensor(wave(N * K, 0.37), [N, K]);
  const x = { dtype: "float32", shape: [2, K], data: wave(2 * K, 0.11) } as const;
  const spec = { dtype: "float32", shape: ["batch", K] } as const;
  const run = await compile(product(weight), { x: spec }, { runtime: ort, quantize: { bits: 8 } });
  const { y } = await run({ x });
  await run.dispose();
  const exact = product(weight)({ x: tf.tensor(x.data, [2, K]) }).y.dataSync();
  // Errors of ±1/256 of weights and activations of size 1, over 64 terms of random sign: 8 · √2 / 256 / √3, four times.
  for (const [i, value] of exact.entries()) expect(Math.abs((y.data as Float32Array)[i]! - value)).toBeLessThan(0.11);
});

test("only weights of products that are not kept are stored in fewer bits", () => {
  const [first, second, table] = [tf.ones([64, 64]), tf.ones([64, 64]), tf.ones([9, 64])];
  const fn = ({ ids }: { ids: tf.Tensor }) => {
    const x = tf.gather(table, ids as tf.Tensor1D) as tf.Tensor2D;
    return { y: tf.matMul(tf.matMul(x, first as tf.Tensor2D, false, true), second as tf.Tensor2D, false, true) };
  };
  const ids = { dtype: "int32", shape: [4] } as const;
  const quantize = { bits: 4, keep: (name: string) => name === "second" } as const;
  const model = trace(fn, { ids }, { weights: { first, second, table }, quantize });
  const names = model.graph.nodes.flatMap(({ inputs }) =>
    inputs.flatMap((input) => (input?.source.kind === "weight" ? [input.source.name] : [])),
  );
  expect(names.sort()).toEqual(["first.codes", "first.scales", "second", "table"]);
});

test("what can't be stored is refused", () => {
  const x = { dtype: "float32", shape: [1, 64] } as const;
  const fn = product(tf.ones([8, 64]));
  expect(() => trace(fn, { x }, { quantize: { bits: 3 as 4 } })).toThrow(/3 bits; use 4, 8 or 16/);
  expect(() => trace(fn, { x }, { quantize: { bits: 4, blockSize: 24 } })).toThrow(/blockSize 24; use 16, 32/);
  const broken = tf.tensor2d(new Float32Array(512).fill(Number.NaN), [8, 64]);
  const call = () => trace(product(broken), { x }, { weights: { broken }, quantize: { bits: 8 } });
  expect(call).toThrow(TensorARError);
  expect(call).toThrow(/weight "broken" holds NaN at row 0/);
});

test("16 bits: the nearest half-precision numbers, ties to even, as the runtime reads them", async () => {
  // Exact numbers, ties both ways, the smallest numbers, the largest.
  const values = [
    1,
    -2.5,
    1 + 2 ** -11,
    1 + 3 * 2 ** -11,
    2 ** -24,
    2 ** -25,
    1.5 * 2 ** -24,
    65504,
    -65519,
    1e-9,
    0,
    -0,
  ];
  const nearest = [1, -2.5, 1, 1 + 2 ** -9, 2 ** -24, 0, 2 ** -23, 65504, -65504, 0, 0, -0];
  const weight = tf.tensor2d(values, [1, values.length]);
  const specs = { x: { dtype: "float32", shape: ["batch", values.length] } } as const;
  const options = { runtime: ort, quantize: { bits: 16 } } as const;
  const run = await compile(product(weight), specs, options);
  for (const [i, expected] of nearest.entries()) {
    const data = Float32Array.from(values, (_, at) => (at === i ? 1 : 0));
    const { y } = await run({ x: { dtype: "float32", shape: [1, values.length], data } });
    expect((y as { data: Float32Array }).data[0], String(values[i])).toBeCloseTo(expected, 12);
  }
  await run.dispose();
  const large = tf.tensor2d([[70000]]);
  expect(() => trace(product(large), { x: { dtype: "float32", shape: ["b", 1] } }, { quantize: { bits: 16 } })).toThrow(
    /holds 70000, which 16 bits can't/,
  );
});

/** A model of these weights, as bytes. */
const bytesOf = (
  fn: (inputs: { x: tf.Tensor }) => { y: tf.Tensor },
  weights: Record<string, tf.Tensor>,
  quantize: Quantization,
) => serializeModel(trace(fn, { x: rows }, { weights, quantize }));

test.each([{ bits: 4, blockSize: 32 }, { bits: 8, blockSize: 32 }, { bits: 16 }] as const)(
  "a file says how its weights are stored, and a weight can be rounded alike: %j",
  async (format) => {
    const [N, K] = [5, 70];
    const values = wave(N * K, 0.37);
    const weights = { "a.weight": tf.tensor(values, [N, K]), kept: tf.tensor(wave(N * K, 0.2), [N, K]) };
    const both = ({ x }: { x: tf.Tensor }) => ({
      y: tf.add(product(weights["a.weight"])({ x }).y, product(weights.kept)({ x }).y),
    });
    const quantize = { bits: format.bits, keep: (name: string) => name === "kept" };
    const bytes = bytesOf(both, weights, quantize);
    expect(weightFormats(bytes)).toEqual(new Map([["a.weight", format]]));

    const rounded = roundWeight("a.weight", values, [N, K], format);
    const largest = Math.max(...values.map((value, i) => Math.abs(value - rounded[i]!)));
    expect(largest).toBeGreaterThan(0);
    // Half of 2^-11 of a number below 1; a whole step at the end that has no opposite, of blocks whose largest weight is 1.
    expect(largest).toBeLessThanOrEqual(format.bits === 16 ? 2 ** -12 : 1.0001 / 2 ** (format.bits - 1));

    // The runtime computes with those, once products leave activations as they are.
    const run = await openModel(withFloatActivations(bytes), { runtime: ort });
    const x = wave(2 * K, 0.11);
    const { y } = (await run({ x: { dtype: "float32", shape: [2, K], data: x } })) as { y: TensorData };
    await run.dispose();
    const sum = (weight: ArrayLike<number>, row: number, column: number) =>
      Array.from({ length: K }, (_, k) => x[row * K + k]! * weight[column * K + k]!).reduce((a, b) => a + b);
    const kept = weights.kept.dataSync();
    for (let at = 0; at < 2 * N; at++) {
      const [row, column] = [Math.floor(at / N), at % N];
      // float32 sums of 70 terms of size 1; activations of 8 bits differ by some 1e-2
      expect(Math.abs(Number(y.data[at]) - sum(rounded, row, column) - sum(kept, row, column))).toBeLessThan(5e-5);
    }
  },
);

test("bytes that are no model are refused", () => {
  expect(() => weightFormats(Uint8Array.of(255, 255, 255))).toThrow("these bytes are no ONNX model");
});

test.each([
  ["block_size", 0, 'takes "a.weight.codes" in 4 bits and blocks of 0'],
  ["block_size", -32, "blocks of -32"],
  ["bits", 3, "in 3 bits"],
] as const)("a format that the runtime does not have is refused: %s %i", (key, value, message) => {
  const [N, K] = [5, 70];
  const weights = { "a.weight": tf.tensor(wave(N * K, 0.37), [N, K]) };
  const model = fromBinary(ModelProtoSchema, bytesOf(product(weights["a.weight"]), weights, { bits: 4 }));
  const node = model.graph?.node.find(({ opType }) => opType === "MatMulNBits");
  node!.attribute.find(({ name }) => name === key)!.i = BigInt(value);
  expect(() => weightFormats(toBinary(ModelProtoSchema, model))).toThrow(message);
});
