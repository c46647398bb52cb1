import "@tensorflow/tfjs";
import type { TensorData } from "@tensorar/core";
import { expectClose } from "@tensorar/testing";
import * as tf from "@tensorflow/tfjs-core";
import * as ort from "onnxruntime-node";
import { beforeAll, expect, test } from "vitest";
import { compile } from "../src";
import { KERNELS } from "../src/kernels";
import { type InputSpec, KERNEL_CASES, type KernelCase } from "./kernels.table";
import { within } from "./within";

// A few roundings of float32; both engines add in their own order.
const TOLERANCE = 2e-5;
const ALL_SAME_RUNTIME = { runtime: ort, threads: 1 };

beforeAll(async () => {
  await tf.setBackend("cpu");
});

test("every kernel has a row", () => {
  const covered = new Set(KERNEL_CASES.map(({ kernel }) => kernel));
  expect(Object.keys(KERNELS).filter((kernel) => !covered.has(kernel))).toEqual([]);
});

const rows = KERNEL_CASES.map((row) => [`${row.kernel}${row.what ? `, ${row.what}` : ""}`, row] as const);
test.each(rows)("%s", async (_, row) => {
  for (const [index, specs] of row.inputs.entries()) {
    const seed = 1 + index;
    await checkValues(row, specs, seed);
    if (row.gradient) await checkGradients(row, specs, seed);
  }
});

async function checkValues(row: KernelCase, specs: readonly InputSpec[], seed: number): Promise<void> {
  const inputs = specs.map((spec, i) => randomTensor(spec, seed * 100 + i));
  let eager: tf.Tensor[] = [];
  const profile = await tf.profile(() => {
    eager = asArray(row.run(...inputs));
    return eager;
  });
  expect(profile.kernelNames).toContain(row.kernel);
  const outputs = await runCompiled((xs) => asArray(row.run(...xs)), inputs);
  compare(outputs, eager, row.tolerance ?? TOLERANCE, "value");
  tf.dispose([inputs, eager]);
}

async function checkGradients(row: KernelCase, specs: readonly InputSpec[], seed: number): Promise<void> {
  const inputs = specs.map((spec, i) => randomTensor(spec, seed * 100 + i));
  const gradients = (xs: readonly tf.Tensor[]): tf.Tensor[] => differentiate(row, xs);
  const compiled = await runCompiled(gradients, inputs);
  if (row.gradient === "tfjs") return compare(compiled, gradients(inputs), row.tolerance ?? 5 * TOLERANCE, "gradient");
  const numeric = differences(row, inputs);
  // Central differences over float32: half the digits.
  for (const [i, expected] of numeric.entries())
    expectClose("gradient", compiled[i]!.data as Float32Array, expected, within(5e-3));
}

/** Gradients of a weighted sum of all outputs with respect to the float inputs. */
function differentiate(row: KernelCase, xs: readonly tf.Tensor[]): tf.Tensor[] {
  const floats = xs.filter((x) => x.dtype === "float32");
  return tf.grads((...values: tf.Tensor[]) => weighted(row, substitute(xs, values)))(floats);
}

function weighted(row: KernelCase, xs: readonly tf.Tensor[]): tf.Scalar {
  const sums = asArray(row.run(...xs)).map((output) => {
    const weights = tf.tensor(
      Float32Array.from({ length: output.size }, (_, i) => ((i * 7) % 5) - 1.5),
      output.shape,
    );
    return tf.sum(tf.mul(output, weights));
  });
  return tf.addN(sums) as tf.Scalar;
}

function substitute(xs: readonly tf.Tensor[], floats: readonly tf.Tensor[]): tf.Tensor[] {
  const rest = [...floats];
  return xs.map((x) => (x.dtype === "float32" ? rest.shift()! : x));
}

function differences(row: KernelCase, xs: readonly tf.Tensor[]): Float64Array[] {
  const h = 1 / 64;
  return xs
    .filter((x) => x.dtype === "float32")
    .map((x) => {
      const data = x.dataSync() as Float32Array;
      return Float64Array.from(data, (value, i) => {
        const at = (moved: number): number =>
          tf.tidy(() => {
            const changed = tf.tensor(data.with(i, moved), x.shape);
            return weighted(
              row,
              xs.map((other) => (other === x ? changed : other)),
            ).dataSync()[0]!;
          });
        return (at(value + h) - at(value - h)) / (2 * h);
      });
    });
}

async function runCompiled(
  fn: (xs: tf.Tensor[]) => tf.Tensor[],
  inputs: readonly tf.Tensor[],
): Promise<readonly TensorData[]> {
  const specs = inputs.map(({ dtype, shape }) => ({ dtype: dtype as InputSpec["dtype"], shape }));
  const compiled = await compile((xs: tf.Tensor[]) => fn(xs), specs, ALL_SAME_RUNTIME);
  try {
    return await compiled(inputs as never);
  } finally {
    await compiled.dispose();
  }
}

function compare(actual: readonly TensorData[], expected: readonly tf.Tensor[], tolerance: number, what: string): void {
  expect(actual.map(({ dtype, shape }) => [dtype, [...shape]])).toEqual(
    expected.map(({ dtype, shape }) => [dtype, shape]),
  );
  for (const [i, tensor] of expected.entries())
    expectClose(`${what} ${i}`, actual[i]!.data as Float32Array, tensor.dataSync(), within(tolerance));
}

const asArray = (result: tf.Tensor | tf.Tensor[]): tf.Tensor[] => (Array.isArray(result) ? result : [result]);

/** Uniform numbers from a linear congruential generator: the same in every run. */
function randomTensor({ dtype, shape, low, high }: InputSpec, seed: number): tf.Tensor {
  let state = (seed * 2654435761) >>> 0;
  const size = shape.reduce((a, b) => a * b, 1);
  const values = Array.from({ length: size }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    const value = low + (high - low) * (state / 2 ** 32);
    return dtype === "float32" ? value : Math.floor(value);
  });
  return tf.tensor(values, [...shape], dtype);
}
