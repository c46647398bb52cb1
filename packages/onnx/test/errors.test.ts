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
  const names = ["a", "b", "c", "d", "e", "f"];
  expect(failure(identity, { x: { dtype: "float32", shape: names } }).message).toMatch(/6 symbolic.*at most 5/);
});

test("an error of the function itself comes through", () => {
  const own = new Error("from the function");
  const fail = (): never => {
    throw own;
  };
  expect(() => trace(fail, BATCH)).toThrow(own);
  expect(tf.getBackend()).toBe("cpu");
});

const float32 = (...shape: (number | string)[]): Spec => ({ dtype: "float32", shape });

const mismatched: readonly (readonly [
  string,
  Nested<Spec>,
  (inputs: Record<string, tf.Tensor>) => tf.Tensor,
  string,
])[] = [
  [
    "a product",
    { x: float32("batch", 8) },
    ({ x }) => tf.matMul(x as tf.Tensor2D, tf.ones([4, 3])),
    "matMul of [batch, 8] and [4, 3]: the inner sizes 8 and 4 differ",
  ],
  [
    "a product of fixed sizes",
    { x: float32(2, 8) },
    ({ x }) => tf.matMul(x as tf.Tensor2D, tf.ones([3, 4]), false, true),
    "matMul of [2, 8] and [3, 4] transposed: the inner sizes 8 and 4 differ",
  ],
  [
    "a product of symbolic inner sizes",
    { x: float32("batch", "width"), y: float32("batch", 5) },
    ({ x, y }) => tf.matMul(x as tf.Tensor2D, y as tf.Tensor2D, true, true),
    "matMul of [batch, width] transposed and [batch, 5] transposed: the inner sizes batch and 5 differ",
  ],
  [
    "a sum",
    { x: float32("batch", 3), y: float32("length", 3) },
    ({ x, y }) => tf.add(x!, y!),
    "add: shapes [batch,3] and [length,3] don't broadcast",
  ],
  ["what grows with a size", { x: float32("batch", 6) }, ({ x }) => tf.reshape(x!, [-1, 5]), "6*batch"],
  [
    "a concatenation",
    { x: float32("batch", 2), y: float32(3, 2) },
    ({ x, y }) => tf.concat([x!, y!], 1),
    "concat of [batch, 2], [3, 2]: sizes differ besides those of axis 1",
  ],
  [
    "a stack",
    { x: float32("batch", 2) },
    ({ x }) => tf.stack([x!, tf.zeros([1, 2])]),
    "stack of [batch, 2], [1, 2]: sizes differ",
  ],
  [
    "an einsum",
    { x: float32("batch", 2) },
    ({ x }) => tf.einsum("ij,jk->ik", x!, tf.ones([3, 4])),
    'einsum "ij,jk->ik" of [batch, 2] and [3, 4]: "j" has no single size',
  ],
  [
    "a check of tfjs's own",
    { x: float32("batch", 6) },
    ({ x }) => tf.conv1d(x as tf.Tensor2D, tf.ones([2, 5, 1]), 1, "same"),
    "depth of input (6)",
  ],
  [
    "a sum with a tensor that happens to have one of the sizes tried",
    { x: float32("batch") },
    ({ x }) => tf.add(x!, tf.ones([7])),
    'it goes wrong for some sizes of "batch" only',
  ],
];
test.each(mismatched)("%s that does not fit is named while tracing, by symbols and call", (_, inputs, fn, message) => {
  const error = failure(fn as never, inputs);
  expect(error.message).toContain(message);
  expect(error.message).toMatch(HERE);
  const numbers = error.message.replace(/\(called at .*?\)+/, "").match(/\b\d+\b/g) ?? [];
  const sampled = ["11", "13", "17", "19", "23", "29"]; // and 7, where it is not said
  expect(numbers.filter((number) => sampled.includes(number))).toEqual([]);
});

test("errors of the traced function itself pass unless they hold sizes that were tried", () => {
  const own = new RangeError("mine");
  const thrown = (fn: (inputs: { x: tf.Tensor }) => tf.Tensor) => {
    try {
      return trace(fn, { x: float32("batch", 4) });
    } catch (error) {
      return error;
    }
  };
  const same = thrown(() => {
    throw own;
  });
  expect(same).toBe(own);
  const sized = thrown(({ x }) => {
    throw new RangeError(`${2 * x.shape[0]!} of 8`);
  });
  expect(sized).toBeInstanceOf(TensorARError);
  expect(sized).toMatchObject({ message: "2*batch of 8", cause: expect.any(RangeError) });
});
