import "@tensorflow/tfjs";
import * as tf from "@tensorflow/tfjs-core";
import * as ort from "onnxruntime-node";
import { beforeAll, expect, test } from "vitest";
import { compile, fromFloat16, type OnnxModel, type Quantization, serializeModel, toFloat16, trace } from "../src";

/** Half precision keeps 11 bits; a few roundings in a row, and sums in which their errors partly cancel. */
const ROUNDINGS = 6 * 2 ** -11;

const [D, M, S] = [32, 48, 7];
let w: Record<"table" | "up" | "down" | "query" | "value" | "head" | "row" | "tensorar.map", tf.Tensor>;
const half: Quantization = { bits: 16, activations: "float16", keep: (name) => name.startsWith("tensorar.") };

beforeAll(async () => {
  await tf.setBackend("cpu");
  const random = (seed: number, ...shape: number[]) => tf.randomNormal(shape, 0, 1 / Math.sqrt(D), "float32", seed);
  w = {
    table: tf.randomNormal([9, D], 0, 1, "float32", 8),
    up: random(1, M, D),
    down: random(2, D, M),
    query: random(3, D, D),
    value: random(4, D, D),
    head: random(5, 20, D),
    "tensorar.map": random(6, D, D),
    row: tf.randomUniform([D], 0.5, 2, "float32", 7),
  };
});

const linear = (x: tf.Tensor, weight: tf.Tensor) => tf.matMul(x as tf.Tensor2D, weight as tf.Tensor2D, false, true);
const rms = (x: tf.Tensor) => tf.mul(tf.mul(x, tf.rsqrt(tf.add(tf.mean(tf.square(x), -1, true), 1e-5))), w.row);

/** A block with attention over a cache, and logits. */
function block({ tokens, keys, mask }: Record<"tokens" | "keys" | "mask", tf.Tensor>) {
  const x = tf.gather(w.table, tokens as tf.Tensor1D);
  const query = linear(rms(x), w.query); // [R, D]
  const scores = tf.add(tf.matMul(tf.expandDims(query, 1), keys), tf.expandDims(mask, 1)); // [R, 1, S]
  const mixed = tf.matMul(tf.softmax(scores), keys, false, true); // [R, 1, D]
  const h = tf.add(x, linear(tf.reshape(mixed, [-1, D]), w.value));
  const gate = linear(rms(h), w.up);
  const out = tf.add(h, linear(tf.mul(gate, tf.sigmoid(gate)), w.down));
  const refined = tf.add(out, linear(rms(out), w["tensorar.map"]));
  return { logits: linear(rms(refined), w.head), keys: tf.expandDims(query, 2) };
}
const specs = {
  tokens: { dtype: "int32", shape: ["rows"] },
  keys: { dtype: "float32", shape: ["rows", D, S] },
  mask: { dtype: "float32", shape: ["rows", S] },
} as const;
const x = { dtype: "float32", shape: ["rows", D] } as const;

function inputsOf(rows: number) {
  const tokens = tf.tensor1d(
    Array.from({ length: rows }, (_, row) => (4 * row + 1) % 9),
    "int32",
  );
  const keys = tf.randomNormal([rows, D, S], 0, 1, "float32", rows + 10);
  // The last row may see nothing: as large a number as that is no half, and without it there is no distribution.
  const hidden = (row: number, position: number) => row === rows - 1 || position > 3;
  const mask = Array.from({ length: rows * S }, (_, i) => (hidden(Math.floor(i / S), i % S) ? -1e9 : 0));
  return { tokens, keys, mask: tf.tensor2d(mask, [rows, S]) };
}

const nodes = ({ graph }: OnnxModel, ...ops: string[]) => graph.nodes.filter(({ op }) => ops.includes(op));
const typesOf = (model: OnnxModel, ...ops: string[]) =>
  new Set(nodes(model, ...ops).map(({ outputs }) => outputs[0]!.dtype));

test.each([undefined, "cuda"] as const)("a block stays near what float32 gives, fused for %s", async (fuse) => {
  const form = await compile(block, specs, { runtime: ort, quantize: half, weights: w, ...(fuse && { fuse }) });
  for (const rows of [1, 4]) {
    const inputs = inputsOf(rows);
    const eager = block(inputs);
    const actual = await form(inputs);
    for (const name of ["logits", "keys"] as const) {
      const expected = eager[name].dataSync();
      const largest = Math.max(...expected.map(Math.abs));
      const { data } = actual[name] as { data: Float32Array };
      for (const [i, value] of expected.entries())
        expect(Math.abs(data[i]! - value), `${name}[${i}]`).toBeLessThan(ROUNDINGS * largest);
      expect(data.some((value, i) => value !== expected[i])).toBe(true);
    }
  }
  await form.dispose();
  const { model } = form;
  expect(model.inputs.map(({ dtype }) => dtype)).toEqual(["int32", "float32", "float32"]);
  expect(typesOf(model, "Softmax", "ReduceMean", "Sqrt").has("float16")).toBe(false);
  const products = nodes(model, "Gemm").map(({ inputs: [, weight], outputs: [y] }) => {
    const { source } = weight!;
    return [source.kind === "weight" ? source.name : source.kind, weight!.dtype, y!.dtype];
  });
  expect(products).toContainEqual(["tensorar.map", "float32", "float32"]);
  for (const name of ["query", "value", "up", "down", "head"])
    expect(products).toContainEqual([name, "float16", "float16"]);
  if (fuse) expect(typesOf(model, "SkipSimplifiedLayerNormalization")).toEqual(new Set(["float16"]));
});

test("inputs and outputs become halves where asked", async () => {
  const quantize = { ...half, ports: (name: string) => name === "keys" };
  const form = await compile(block, specs, { runtime: ort, quantize, weights: w });
  expect(form.model.inputs.map(({ name, dtype }) => `${name} ${dtype}`)).toEqual([
    "tokens int32",
    "keys float16",
    "mask float32",
  ]);
  expect(form.model.outputs.map(({ name, dtype }) => `${name} ${dtype}`)).toEqual([
    "logits float32",
    "keys.next float16",
  ]);
  expect(typesOf(form.model, "MatMul")).toEqual(new Set(["float16"])); // scores and what is mixed by them
  const { tokens, mask } = inputsOf(2);
  const zeros = { dtype: "float16", shape: [2, D, S], data: new Uint16Array(2 * D * S) } as const;
  const { logits, keys } = await form({ tokens, mask, keys: zeros });
  expect(keys.data).toBeInstanceOf(Uint16Array);
  const expected = block({ tokens, mask, keys: tf.zeros([2, D, S]) }).logits.dataSync();
  const largest = Math.max(...expected.map(Math.abs));
  for (const [i, value] of expected.entries())
    expect(Math.abs((logits.data as Float32Array)[i]! - value)).toBeLessThan(ROUNDINGS * largest);
  await form.dispose();
});

test("what follows the last product is computed in float32", () => {
  const fn = ({ x }: { x: tf.Tensor }) => tf.mul(tf.sub(linear(linear(x, w.query), w.head), 1), 3);
  const model = trace(fn, { x }, { quantize: half, weights: w });
  expect(typesOf(model, "Gemm")).toEqual(new Set(["float16"]));
  expect(typesOf(model, "Sub", "Mul")).toEqual(new Set(["float32"]));
});

test("a matrix that is also read in float32 is stored once, as halves", () => {
  const fn = ({ x }: { x: tf.Tensor }) => ({ y: linear(x, w.query), size: tf.sqrt(tf.sum(tf.square(w.query))) });
  const model = trace(fn, { x }, { quantize: half, weights: w });
  const stored = new Set(
    model.graph.nodes.flatMap(({ inputs }) => inputs).filter((value) => value?.source.kind === "weight"),
  );
  expect([...stored].map((value) => value!.dtype)).toEqual(["float16"]);
  expect(serializeModel(model).length).toBeGreaterThan(2 * D * D);
});

test("numbers that halves can't hold keep their surroundings in float32", async () => {
  const fn = ({ x }: { x: tf.Tensor }) => ({ y: tf.mul(tf.add(linear(linear(x, w.query), w.value), 1e6), 1e-6) });
  const inner = ({ x }: { x: tf.Tensor }) => ({ y: linear(tf.mul(linear(x, w.query), 70000), w.value) });
  for (const each of [fn, inner]) {
    const form = await compile(each, { x }, { runtime: ort, quantize: half, weights: w });
    const y = (await form({ x: tf.mul(tf.ones([1, D]), 1e-3) })).y.data as Float32Array;
    const expected = each({ x: tf.mul(tf.ones([1, D]), 1e-3) }).y.dataSync();
    const largest = Math.max(...expected.map(Math.abs));
    for (const [i, value] of expected.entries()) expect(Math.abs(y[i]! - value)).toBeLessThan(ROUNDINGS * largest);
    await form.dispose();
  }
});

test("what does not go together is refused", () => {
  const quantized = (quantize: Quantization) => () => trace(({ x }) => linear(x, w.query), { x }, { quantize });
  expect(quantized({ bits: 8, activations: "float16" })).toThrow(/"float16" do not go with 8 bits/);
  expect(quantized({ bits: 16, activations: "int8" })).toThrow(/"int8" do not go with 16 bits/);
  expect(quantized({ bits: 16, ports: () => true })).toThrow(/ports are float16 only where activations are/);
});

test("every half is a number that is that half again", () => {
  const halves = Uint16Array.from({ length: 2 ** 16 }, (_, bits) => bits);
  const numbers = fromFloat16(halves);
  expect([...numbers.slice(0, 3)]).toEqual([0, 2 ** -24, 2 ** -23]);
  expect([0x3c00, 0xc000, 0x7bff, 0x7c00].map((bits) => numbers[bits])).toEqual([
    1,
    -2,
    65504,
    Number.POSITIVE_INFINITY,
  ]);
  for (const [i, back] of toFloat16(numbers).entries()) if (!Number.isNaN(numbers[i])) expect(back).toBe(i);
});
