import "@tensorflow/tfjs";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, expect, test } from "vitest";
import { type Nested, type Spec, TensorARError, trace } from "../src";

beforeAll(async () => {
  await tf.setBackend("cpu");
});

const BATCH: Nested<Spec> = { x: { dtype: "float32", shape: ["batch", 4] } };

/** Traces a function that must fail, and returns the error after checking that tfjs is left as it was. */
function failure(fn: (inputs: { x: tf.Tensor }) => unknown, inputs: Nested<Spec> = BATCH): TensorARError {
  const [backend, tensors] = [tf.getBackend(), tf.memory().numTensors];
  let error: unknown;
  try {
    trace(fn as never, inputs);
  } catch (thrown) {
    error = thrown;
  }
  expect(error).toBeInstanceOf(TensorARError);
  expect([tf.getBackend(), tf.memory().numTensors]).toEqual([backend, tensors]);
  return error as TensorARError;
}

/** Matches "called at … this file:line:column". */
const HERE = /called at .*errors\.test\.ts:\d+:\d+/;

const random: readonly (readonly [string, (x: tf.Tensor) => tf.Tensor])[] = [
  ["randomUniform", (x) => tf.add(x, tf.randomUniform([4]))],
  ["randomNormal", (x) => tf.add(x, tf.randomNormal([4]))],
  ["randomStandardNormal", (x) => tf.add(x, tf.randomStandardNormal([4]))],
  ["randomUniformInt", (x) => tf.add(x, tf.cast(tf.randomUniformInt([4], 0, 9), "float32"))],
  ["randomGamma", (x) => tf.add(x, tf.randomGamma([4], 1))],
  ["truncatedNormal", (x) => tf.add(x, tf.truncatedNormal([4]))],
  [
    "rand",
    (x) =>
      tf.add(
        x,
        tf.rand([4], () => 0.5),
      ),
  ],
  ["dropout", (x) => tf.dropout(x, 0.5)],
  ["Multinomial", (x) => tf.multinomial(x as tf.Tensor2D, 1)],
];
test.each(random)("%s is refused: name, call and remedy", (name, op) => {
  const { message } = failure(({ x }) => op(x));
  expect(message).toContain(name);
  expect(message).toMatch(HERE);
  expect(message).toContain("pass them in as an input");
});

const reads: readonly (readonly [string, (x: tf.Tensor) => unknown])[] = [
  ["dataSync", (x) => x.dataSync()],
  ["arraySync", (x) => x.arraySync()],
  ["print", (x) => x.print()],
  ["data", (x) => x.data()],
  ["array", (x) => x.array()],
];
test.each(reads)("%s() is refused: name, call and remedy", (name, read) => {
  const { message } = failure(({ x }) => {
    read(x);
    return x;
  });
  expect(message).toContain(`by ${name}()`);
  expect(message).toMatch(HERE);
  expect(message).toContain("tf.where");
});

const unsupported: readonly (readonly [string, readonly number[], (x: tf.Tensor) => tf.Tensor])[] = [
  ["Complex", [4, 4], (x) => tf.spectral.rfft(x)],
  ["Dilation2D", [1, 4, 4, 1], (x) => tf.dilation2d(x as tf.Tensor4D, tf.zeros([2, 2, 1]), 1, "same")],
  ["NonMaxSuppressionV3", [4, 4], (x) => tf.image.nonMaxSuppression(x as tf.Tensor2D, tf.zeros([4]), 2)],
  ["Unique", [4], (x) => tf.unique(x).values],
];
test.each(unsupported)("kernel %s is refused: name, call and remedy", (kernel, shape, op) => {
  const { message } = failure(({ x }) => op(x), { x: { dtype: "float32", shape } });
  expect(message).toContain(`"${kernel}"`);
  expect(message).toMatch(HERE);
  expect(message).toContain("other ops");
});

test("variables and async functions are refused", () => {
  const made = failure(({ x }) => tf.variable(x, true, "made while tracing"));
  expect(made.message).toMatch(/tf\.Variable.*called at .*errors\.test\.ts:\d+:\d+.*return the new value/);
  expect(Object.keys(tf.engine().registeredVariables)).not.toContain("made while tracing");
  expect(failure(async ({ x }) => x).message).toContain("async");
});

test("tensors of an earlier trace are refused", () => {
  let kept: tf.Tensor | undefined;
  trace(
    ({ x }) => {
      kept = x;
      return tf.neg(x);
    },
    { x: { dtype: "float32", shape: [4] } },
  );
  expect(failure(({ x }) => tf.add(x, kept!)).message).toMatch(/earlier trace.*called at .*errors\.test\.ts/);
});

test("tracing inside a traced function is refused", () => {
  const inner = ({ x }: { x: tf.Tensor }) => {
    trace(({ y }) => tf.neg(y), { y: { dtype: "float32", shape: [1] } });
    return x;
  };
  expect(failure(inner).message).toContain("call the inner function directly");
});

test("what is no polynomial of the symbolic sizes is refused: kernel, call, dimension and remedy", () => {
  const rows = (x: tf.Tensor): number => x.shape[0]!;
  const cases: readonly ((x: tf.Tensor) => tf.Tensor)[] = [
    (x) => tf.slice(x, [0, 0], [rows(x) % 3, 4]), // a size
    (x) => tf.mul(x, Math.sqrt(rows(x))), // a number
    (x) => tf.add(x, tf.tensor1d([rows(x), 1, 1, 3])), // a constant
    (x) => (rows(x) > 8 ? tf.neg(x) : tf.exp(x)), // another op
    (x) => Array.from({ length: rows(x) }, () => 1).reduce((sum) => tf.neg(sum), x), // a loop
  ];
  for (const op of cases) {
    const { message } = failure(({ x }) => op(x));
    expect(message).toMatch(/tfjs kernel "\w+"/);
    expect(message).toMatch(HERE);
    expect(message).toContain('"batch"');
    expect(message).toContain("fixed size");
  }
});

test("specs and results of wrong kinds are refused by name", () => {
  const identity = ({ x }: { x: tf.Tensor }) => x;
  expect(failure(identity, { x: { dtype: "string", shape: [1] } as never }).message).toMatch(
    /"x".*"string".*"float32"/,
  );
  expect(failure(identity, { x: { dtype: "float32", shape: [-1] } }).message).toMatch(/"x".*-1/);
  expect(failure(identity, { x: { dtype: "float32", shape: ["a b"] } }).message).toMatch(/"x".*a b/);
  expect(failure(identity, { "x/y": { dtype: "float32", shape: [1] } }).message).toMatch(/"x\/y"/);
  expect(failure(() => ({ y: 3 })).message).toMatch(/"y".*number/);
  const names = ["a", "b", "c", "d", "e"];
  expect(failure(identity, { x: { dtype: "float32", shape: names } }).message).toMatch(/5 symbolic.*at most 4/);
});

test("an error of the function itself comes through", () => {
  const own = new Error("from the function");
  const fail = (): never => {
    throw own;
  };
  expect(() => trace(fail, BATCH)).toThrow(own);
  expect(tf.getBackend()).toBe("cpu");
});
