import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { inceptionFeatures, inceptionShapes, lpips, lpipsShapes } from "@tensorar/metrics/features";
import { compile } from "@tensorar/onnx";
import "@tensorflow/tfjs";
import * as tf from "@tensorflow/tfjs-core";
import * as ort from "onnxruntime-node";
import { BLOCKS } from "../packages/metrics/src/inception/layout";
import { matmulRate } from "./lib/machine";
import { measure, median } from "./lib/measure";
import { type Row, rateRow } from "./lib/row";
import { inTurnsWithTorch } from "./lib/turns";
import { timingWeights } from "./lib/weights";

const PEER = fileURLToPath(new URL("./peers/torch_inception.py", import.meta.url));
const BATCHES = [1, 8];
const SIDE = 256;

/** Feature networks, resizing included: images/s and GFLOP/s, next to a matrix product in the same process and to PyTorch. */
export async function* run(): AsyncGenerator<Row> {
  await tf.ready();
  yield* inception();
  yield* perceptual();
}

/** Peers: PyTorch as pytorch-fid runs it, and tuned: batch norms folded into the convolutions, channels last. */
async function* inception(): AsyncGenerator<Row> {
  const dir = await mkdtemp(join(tmpdir(), "inception-layout-"));
  const layout = join(dir, "layout.json");
  await writeFile(layout, JSON.stringify(BLOCKS));
  const params = inceptionWeights();
  const network = await compile(
    ({ images }) => ({ pooled: inceptionFeatures(params, images as tf.Tensor4D).pooled }),
    { images: { dtype: "float32", shape: ["batch", SIDE, SIDE, 3] } },
    { runtime: ort, weights: params },
  );
  tf.dispose(params);
  for (const batch of BATCHES) {
    const images = pixels(batch);
    const rates: number[] = [];
    const ours = async (): Promise<number> => {
      rates.push(await matmulRate());
      return measure(() => network({ images }), { warmup: 1, runs: 5 });
    };
    const args = [layout, "--batch", `${batch}`];
    const { value, peer } = await inTurnsWithTorch(ours, args, { script: PEER });
    const tuned = await inTurnsWithTorch(ours, [...args, "--tuned"], { script: PEER });
    const flops = inceptionFlops(batch);
    const rate = (ms: number): number => flops / ms / 1e6;
    const inSecond = (ms: number | null): number | null => (ms === null ? null : (1000 * batch) / ms);
    const name = `Inception, batch ${batch}`;
    yield rateRow(name, rate(value), "GFLOP/s", { peer: peer && rate(peer), limit: median(rates) });
    yield rateRow(`${name} (peer: pytorch-fid's layers)`, inSecond(value)!, "images/s", { peer: inSecond(peer) });
    yield rateRow(`${name} (peer: tuned)`, inSecond(tuned.value)!, "images/s", { peer: inSecond(tuned.peer) });
  }
  await network.dispose();
  await rm(dir, { recursive: true });
}

async function* perceptual(): AsyncGenerator<Row> {
  const params = timingWeights(lpipsShapes());
  const image = { dtype: "float32", shape: ["batch", SIDE, SIDE, 3] } as const;
  const distance = await compile(
    ({ a, b }) => ({ distance: lpips(params, a as tf.Tensor4D, b as tf.Tensor4D) }),
    { a: image, b: image },
    { runtime: ort, weights: params },
  );
  tf.dispose(params);
  const [a, b] = [pixels(1), pixels(1)];
  const limit = await matmulRate();
  const milliseconds = await measure(() => distance({ a, b }), { warmup: 1, runs: 5 });
  await distance.dispose();
  yield rateRow("LPIPS, 256 px", 1000 / milliseconds, "pairs/s");
  yield rateRow("LPIPS, 256 px", (2 * vggFlops()) / milliseconds / 1e6, "GFLOP/s", { limit });
}

const pixels = (batch: number) => ({
  dtype: "float32" as const,
  shape: [batch, SIDE, SIDE, 3],
  data: Float32Array.from({ length: batch * SIDE * SIDE * 3 }, (_, i) => (i * 31) % 256),
});

/** Values do not blow up: a network of zeros and infinities could be faster or slower than the real one. */
function inceptionWeights(): Record<string, tf.Tensor> {
  const params = timingWeights(inceptionShapes());
  return Object.fromEntries(
    Object.entries(params).map(([name, tensor]) => {
      const fanIn = tensor.shape.slice(1).reduce((product, size) => product * size, 1);
      const value = name.endsWith(".running_var")
        ? tf.onesLike(tensor)
        : name.endsWith(".bn.weight")
          ? tf.onesLike(tensor)
          : name.endsWith(".conv.weight")
            ? tf.tidy(() => tf.mul(tensor, Math.sqrt(2 / fanIn) / 0.02))
            : tf.clone(tensor);
      tensor.dispose();
      return [name, value];
    }),
  );
}

/** Two for each product of the convolutions: they are all but a thousandth of the work. */
function inceptionFlops(batch: number): number {
  type Steps = (typeof BLOCKS)[number]["steps"];
  const halved = (side: number): number => Math.floor((side - 3) / 2) + 1;
  const walk = (steps: Steps, from: number): { side: number; flops: number } =>
    steps.reduce(
      ({ side, flops }, step) => {
        if (step.kind === "shrink") return { side: halved(side), flops };
        if (step.kind === "fork") {
          const paths = step.paths.map((path) => walk(path, side));
          return { side: paths[0]!.side, flops: paths.reduce((sum, path) => sum + path.flops, flops) };
        }
        if (step.kind !== "unit") return { side, flops };
        const [rows, columns] = step.size;
        const to = step.stride === 2 ? halved(side) : step.valid ? side - rows + 1 : side;
        return { side: to, flops: flops + 2 * to * to * step.from * step.to * rows * columns };
      },
      { side: from, flops: 0 },
    );
  return (
    batch *
    walk(
      BLOCKS.flatMap(({ steps }) => steps),
      299,
    ).flops
  );
}

/** Of one image: after each slice the sides are halved. */
function vggFlops(): number {
  return Object.entries(lpipsShapes())
    .filter(([name]) => /^net\.slice\d\.\d+\.weight$/.test(name))
    .reduce((sum, [name, [to, from]]) => {
      const side = SIDE / 2 ** (Number(/slice(\d)/.exec(name)![1]) - 1);
      return sum + 2 * 9 * to! * from! * side * side;
    }, 0);
}
