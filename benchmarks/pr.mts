import { manifoldScores } from "/work/main/packages/metrics/src/index";
import { compile } from "/work/main/packages/onnx/src/index";
import "@tensorflow/tfjs";
import * as tf from "@tensorflow/tfjs-core";
import * as ort from "onnxruntime-node";

const DIMS = 2048,
  N = Number(process.argv[2] ?? 4000);
await tf.ready();
const product = await compile(
  ({ a, b }: any) => ({ products: tf.matMul(a, b, false, true) }),
  { a: { dtype: "float32", shape: ["rowsA", DIMS] }, b: { dtype: "float32", shape: ["rowsB", DIMS] } } as any,
  { runtime: ort as any },
);
let s = 1;
const rnd = () => {
  s = (Math.imul(s, 1664525) + 1013904223) >>> 0;
  return s / 2 ** 32 - 0.5;
};
const set = () => ({
  count: N,
  dims: DIMS,
  data: Float32Array.from({ length: N * DIMS }, () => rnd() + rnd() + rnd()),
});
const [r, f] = [set(), set()];
let mm = 0;
const t = performance.now();
console.log(
  await manifoldScores(r as any, f as any, {
    k: 3,
    products: async (a, b, { rowsA, rowsB }) => {
      const t = performance.now();
      const x = (
        await (product as any)({
          a: { dtype: "float32", shape: [rowsA, DIMS], data: a },
          b: { dtype: "float32", shape: [rowsB, DIMS], data: b },
        })
      ).products.data;
      mm += performance.now() - t;
      return x;
    },
  }),
);
console.log("total", performance.now() - t, "products", mm, "GFLOP/s", (3 * 2 * N * N * DIMS) / mm / 1e6);
