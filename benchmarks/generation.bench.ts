import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { attachTensorAR, llamaGen, llamaGenConfig } from "@tensorar/model";
import { compile, type Quantization } from "@tensorar/onnx";
import { generate } from "@tensorar/sampler";
import { decodeVq, vqShapes } from "@tensorar/tokenizer";
import "@tensorflow/tfjs";
import * as tf from "@tensorflow/tfjs-core";
import * as ort from "onnxruntime-node";
import { endToEndGraph } from "./generation/end-to-end-graph";
import { decodeImages, type Model, openDecoder, stepBytes } from "./generation/gpt-decoder";
import { jacobiDecoding, severalPositions } from "./generation/jacobi";
import { VQ16 } from "./generation/vq16";
import { clockedRuntime } from "./lib/clocked-runtime";
import { copyBandwidth, matmulRate } from "./lib/machine";
import { measure, median } from "./lib/measure";
import { costRow, type Row, rateRow } from "./lib/row";
import { inTurnsWithTorch } from "./lib/turns";
import { timingWeights } from "./lib/weights";

const peerArgs = (batch: number): string[] =>
  `decode --dim 768 --layers 12 --heads 12 --vocab 16384 --tokens 256 --batch ${batch}`.split(" ");

const execute = promisify(execFile);

interface Case {
  readonly name: string;
  /** 2 is one image with classifier-free guidance. */
  readonly batch: number;
  readonly quantize?: Quantization;
  readonly peer: readonly string[];
}

const CASES: readonly Case[] = [
  { name: "float32", batch: 2, peer: peerArgs(2) },
  { name: "float32", batch: 16, peer: peerArgs(16) },
  { name: "int8 weights (peer: int8)", batch: 2, quantize: { bits: 8 }, peer: [...peerArgs(2), "--int8"] },
  { name: "int4 weights (peer: float32)", batch: 2, quantize: { bits: 4 }, peer: peerArgs(2) },
];

/** GPT-B at 256 tokens as it is shipped, its cache included; then TensorAR on it, and the decoder of VQ-16. */
export async function* run(): AsyncGenerator<Row> {
  await tf.ready();
  const gpt = llamaGen(llamaGenConfig("GPT-B"));
  const base = attachTensorAR(gpt, { windowSize: 1 });
  for (const { name, batch, quantize, peer: args } of CASES) {
    const { decoder, dispose } = await openDecoder(base, quantize);
    await decodeImages(decoder, batch, 8); // warms up
    const overFloor: number[] = [];
    const turn = async () => {
      // Before and after, since the machine's memory is faster at one minute than at the next.
      const before = await copyBandwidth();
      const step = await decodeImages(decoder, batch, gpt.tokens);
      const bandwidth = (before + (await copyBandwidth())) / 2;
      overFloor.push(step / (stepBytes(base, batch, quantize) / bandwidth / 1e6));
      return step;
    };
    const { value, peer } = await inTurnsWithTorch(turn, args);
    await dispose();
    const limit = value / median(overFloor);
    yield costRow(`GPT-B step, batch ${batch}, ${name}`, value, "ms", { peer, limit });
  }
  yield await refiningStep(gpt);
  yield* severalPositions(gpt);
  yield* jacobiDecoding();
  yield await javaScriptShare(base);
  yield await endToEndGraph();
  yield await firstImage();
  yield await imageDecoder();
}

/** TensorAR's step against its base model's, in turns. */
async function refiningStep(gpt: Model["backbone"]): Promise<Row> {
  const batch = 2;
  const base = await openDecoder(attachTensorAR(gpt, { windowSize: 1 }));
  const refining = await openDecoder(attachTensorAR(gpt, { windowSize: 4 }));
  const times: { base: number; refining: number }[] = [];
  for (let turn = 0; turn < 3; turn++) {
    times.push({
      base: await decodeImages(base.decoder, batch, gpt.tokens),
      refining: await decodeImages(refining.decoder, batch, gpt.tokens),
    });
  }
  await Promise.all([base.dispose(), refining.dispose()]);
  const value = median(times.map((each) => each.refining));
  const peer = median(times.map((each) => each.base));
  return costRow("TensorAR k = 4 on GPT-B, step, batch 2 (peer: GPT-B)", value, "ms", { peer });
}

/** What JavaScript takes of a step at one image without guidance: all but what happens inside the runtime's own call. */
async function javaScriptShare(base: Model): Promise<Row> {
  const { runtime, takeMilliseconds } = clockedRuntime();
  const { decoder, dispose } = await openDecoder(base, undefined, runtime);
  const options = { seed: 1, temperature: 1, topK: 2000, topP: 1, drafts: { kind: "raw" } } as const;
  const loop = generate(decoder, { ...options, conditions: [7], guidance: { kind: "constant", scale: 1 } });
  let [start, skipped] = [0, 0];
  for (let event = await loop.next(); !event.done; event = await loop.next()) {
    if (++skipped !== 32) continue; // warm by then
    start = performance.now();
    takeMilliseconds();
  }
  const total = performance.now() - start;
  await dispose();
  const share = (100 * (total - takeMilliseconds())) / total;
  return costRow("share of JavaScript in a step, GPT-B, batch 1, top-k 2000", share, "%", { limit: 3 });
}

/** From starting the process to an image in a file, with the weights that are shipped; the limit is 3 s. */
async function firstImage(): Promise<Row> {
  const root = new URL("..", import.meta.url);
  const path = (name: string) => fileURLToPath(new URL(name, root));
  const out = await mkdtemp(join(tmpdir(), "tensorar first image "));
  const weights = path("packages/weights-emoji");
  const args = ["sample", "--model", `${weights}/tensorar`, "--tokenizer", `${weights}/tokenizer`, "--num-images", "1"];
  try {
    const work = () =>
      execute(process.execPath, [path("apps/trainer/dist/cli.js"), ...args, "--output", join(out, "one")]);
    const milliseconds = await measure(work, { warmup: 1, runs: 3 });
    return costRow("first image from a cold start, emoji weights", milliseconds / 1000, "s", { limit: 3 });
  } finally {
    await rm(out, { recursive: true, force: true });
  }
}

/** GFLOP/s of its convolutions over the time of all of it, for one image of 256 pixels; the limit is a matrix product's. */
async function imageDecoder(): Promise<Row> {
  const params = timingWeights(vqShapes(VQ16));
  const decode = await compile(
    ({ codes }: { codes: tf.Tensor }) => ({ images: decodeVq(params, VQ16, codes as tf.Tensor2D, [16, 16]) }),
    { codes: { dtype: "int32", shape: [1, 256] } },
    { runtime: ort, weights: params, threads: 2 },
  );
  tf.dispose(params);
  const size = (shape: readonly unknown[]): number => shape.reduce<number>((product, n) => product * (n as number), 1);
  const flops = decode.model.graph.nodes
    .filter(({ op }) => op === "Conv")
    .reduce((sum, { inputs, outputs }) => sum + 2 * size(outputs[0]!.shape) * size(inputs[1]!.shape.slice(1)), 0);
  const codes = { dtype: "int32", shape: [1, 256], data: Int32Array.from({ length: 256 }, (_, i) => i) } as const;
  const milliseconds = await measure(() => decode({ codes }), { warmup: 1, runs: 5 });
  await decode.dispose();
  return rateRow("VQ-16 decoder, 256 px", flops / milliseconds / 1e6, "GFLOP/s", { limit: await matmulRate() });
}
