import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { TensorData } from "@tensorar/checkpoint";
import { exportFolders } from "@tensorar/exporter";
import { attachTensorAR, llamaGen, llamaGenConfig } from "@tensorar/model";
import { saveModel } from "@tensorar/model/node";
import { compile, openModel, type Quantization } from "@tensorar/onnx";
import { cachedDecoder, classLabels, type Decoder, generate, type StepOutputs } from "@tensorar/sampler";
import { decodeVq, type VqConfig, vqShapes } from "@tensorar/tokenizer";
import { saveTokenizer } from "@tensorar/tokenizer/node";
import "@tensorflow/tfjs";
import * as tf from "@tensorflow/tfjs-core";
import * as ort from "onnxruntime-node";
import { clockedRuntime } from "./lib/clocked-runtime";
import { copyBandwidth, matmulRate } from "./lib/machine";
import { measure, measurePair, median } from "./lib/measure";
import { costRow, type Row, rateRow } from "./lib/row";
import { inTurnsWithTorch } from "./lib/turns";
import { matmulWeights, timingWeights } from "./lib/weights";

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
    const bandwidths: number[] = [];
    const turn = async () => {
      bandwidths.push(await copyBandwidth());
      return decodeImages(decoder, batch, gpt.tokens);
    };
    const { value, peer } = await inTurnsWithTorch(turn, args);
    await dispose();
    const limit = stepBytes(base, batch, quantize) / median(bandwidths) / 1e6;
    yield costRow(`GPT-B step, batch ${batch}, ${name}`, value, "ms", { peer, limit });
  }
  yield await refiningStep(gpt);
  yield await lookingAhead(gpt);
  yield await javaScriptShare(base);
  yield await wholeGraph();
  yield await firstImage();
  yield await imageDecoder();
}

type Model = ReturnType<typeof attachTensorAR>;

/** What a step must read: every matrix once, and the filled part of the cache, which is half of it on average. */
function stepBytes({ shapes, backbone }: Model, batch: number, quantize: Quantization | undefined): number {
  const { layers, heads, headDim } = backbone.cache;
  const weight = quantize ? quantize.bits / 8 + 4 / 32 : 4; // with its share of a block's factor
  return weight * matmulWeights(shapes) + 4 * 2 * layers * batch * heads * headDim * ((backbone.tokens - 1) / 2);
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

/** A step of four slots, of which speculative sampling keeps some, against a step of one. */
async function lookingAhead(gpt: Model["backbone"]): Promise<Row> {
  const model = attachTensorAR(gpt, { windowSize: 4 });
  const params = timingWeights(model.shapes);
  const { layers, heads, headDim } = gpt.cache;
  const [R, S, k] = [2, 128, model.windowSize];
  const each = <Value>(value: Value): Value[] => Array.from({ length: layers }, () => value);
  const run = await compile(
    (inputs) => ({ ...model.decodeSlots(params, inputs) }),
    {
      condition: { dtype: "int32", shape: ["batch"] },
      windows: { dtype: "int32", shape: ["batch", "new", k] },
      positions: { dtype: "int32", shape: ["new"] },
      mask: { dtype: "float32", shape: ["batch", "slots"] },
      keys: each({ dtype: "float32", shape: ["batch", heads, headDim, "slots"] } as const),
      values: each({ dtype: "float32", shape: ["batch", heads, "slots", headDim] } as const),
    },
    { runtime: ort, weights: params, threads: 2 },
  );
  tf.dispose(params);
  const float = (...shape: number[]) => ({
    ...({ dtype: "float32", shape } as const),
    data: new Float32Array(shape.reduce((product, size) => product * size, 1)),
  });
  const int = (data: Int32Array, ...shape: number[]) => ({ dtype: "int32", shape, data }) as const;
  const feeds = (L: number) => ({
    condition: int(new Int32Array(R), R),
    windows: int(new Int32Array(R * L * k), R, L, k),
    positions: int(
      Int32Array.from({ length: L }, (_, i) => S + i),
      L,
    ),
    mask: float(R, S),
    keys: each(float(R, heads, headDim, S)),
    values: each(float(R, heads, S, headDim)),
  });
  const [one, four] = [feeds(1), feeds(4)];
  const { a, b } = await measurePair(
    () => run(four as never),
    () => run(one as never),
    { warmup: 2, runs: 9 },
  );
  await run.dispose();
  return costRow("four slots in a step, TensorAR k = 4 on GPT-B, batch 2 (peer: one slot)", a, "ms", { peer: b });
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

/** One guided image of GPT-B and VQ-16: all in one graph, against a step at a time and the image decoder. */
async function wholeGraph(): Promise<Row> {
  const dir = await mkdtemp(join(tmpdir(), "tensorar whole "));
  const [modelDir, tokenizerDir, out] = ["model", "tokenizer", "export"].map((name) => join(dir, name)) as [
    string,
    string,
    string,
  ];
  try {
    const backbone = llamaGenConfig("GPT-B");
    const description = {
      ...({ kind: "llamagen", backbone, noiseRates: [0], grid: [16, 16], classes: ["0"] } as const),
      tensorar: { windowSize: 1, depth: 1, structure: "maps" } as const,
    };
    await Promise.all([modelDir, tokenizerDir].map((folder) => mkdir(folder)));
    const tensors = hostWeights(llamaGen(backbone).shapes);
    await saveModel(modelDir, { ...description, grid: [16, 16], noiseRates: [0], classes: ["0"], tensors }, "float32");
    const pixels = hostWeights(vqShapes(VQ16));
    await saveTokenizer(tokenizerDir, { kind: "vq", imageSize: 256, config: VQ16, tensors: pixels }, "float32");
    const { cache, tokens, vocabSize, nullCondition } = await exportFolders(modelDir, tokenizerDir, out, {
      whole: { topK: 0, topP: 1 },
    });
    const [whole, step, images] = await Promise.all(
      ["generation.onnx", "decoder.onnx", "image-decoder.onnx"].map((file) =>
        openModel(join(out, file), { runtime: ort, threads: 2 }),
      ),
    );
    const decoder = cachedDecoder({
      ...{ tokens, windowSize: 1, vocabSize, cache, conditioning: classLabels(nullCondition) },
      run: async (inputs) => (await step!(inputs as never)) as unknown as StepOutputs,
    });
    const int = (...data: number[]) => ({ dtype: "int32", shape: [data.length], data: Int32Array.from(data) }) as const;
    const float = (shape: number[], value: number) =>
      ({ dtype: "float32", shape, data: Float32Array.of(value) }) as const;
    const inputs = { condition: int(7), seed: int(1), index: int(0), scale: float([1], 2), temperature: float([], 1) };
    const stepwise = async () => {
      const options = { seed: 1, temperature: 1, topK: 0, topP: 1, drafts: { kind: "raw" } } as const;
      const loop = generate(decoder, { ...options, conditions: [7], guidance: { kind: "constant", scale: 2 } });
      let event = await loop.next();
      while (!event.done) event = await loop.next();
      await images!({ codes: { dtype: "int32", shape: [1, tokens], data: event.value.codes } });
    };
    const { a, b } = await measurePair(() => whole!(inputs), stepwise, { warmup: 1, runs: 3 });
    await Promise.all([whole, step, images].map((each) => each!.dispose()));
    return costRow("one guided image of GPT-B, whole-generation graph (peer: stepwise)", a / 1000, "s", {
      peer: b / 1000,
    });
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

/** Weights that time like real ones, as they lie in a folder. */
function hostWeights(shapes: Readonly<Record<string, readonly number[]>>): Record<string, TensorData> {
  const params = timingWeights(shapes);
  const tensors = Object.entries(params).map(([name, tensor]) => {
    const data = tensor.dataSync<"float32">() as Float32Array;
    return [name, { dtype: "float32" as const, shape: tensor.shape, data }] as const;
  });
  tf.dispose(params);
  return Object.fromEntries(tensors);
}

/** From starting the process to an image in a file, with the weights that are shipped; the limit is 3 s. */
async function firstImage(): Promise<Row> {
  const root = new URL("..", import.meta.url);
  const path = (name: string) => fileURLToPath(new URL(name, root));
  const out = await mkdtemp(join(tmpdir(), "tensorar first image "));
  const weights = path("apps/trainer/weights/emoji");
  const args = ["sample", "--model", `${weights}/tensorar`, "--tokenizer", `${weights}/tokenizer`, "--count", "1"];
  try {
    const work = () =>
      execute(process.execPath, [path("apps/trainer/dist/cli.js"), ...args, "--out", join(out, "one")]);
    const milliseconds = await measure(work, { warmup: 1, runs: 3 });
    return costRow("first image from a cold start, emoji weights", milliseconds / 1000, "s", { limit: 3 });
  } finally {
    await rm(out, { recursive: true, force: true });
  }
}

async function openDecoder(model: Model, quantize?: Quantization, runtime: typeof ort = ort) {
  const { tokens, vocabSize, nullCondition, cache } = model.backbone;
  const { windowSize } = model;
  const params = timingWeights(model.shapes);
  const layers = <Value>(value: Value): Value[] => Array.from({ length: cache.layers }, () => value);
  const step = await compile(
    (inputs) => ({ ...model.decode(params, inputs) }),
    {
      condition: { dtype: "int32", shape: ["batch"] },
      window: { dtype: "int32", shape: ["batch", windowSize] },
      position: { dtype: "int32", shape: [1] },
      mask: { dtype: "float32", shape: ["batch", "slots"] },
      keys: layers({ dtype: "float32", shape: ["batch", cache.heads, cache.headDim, "slots"] } as const),
      values: layers({ dtype: "float32", shape: ["batch", cache.heads, "slots", cache.headDim] } as const),
    },
    { runtime, weights: params, threads: 2, ...(quantize && { quantize }) },
  );
  tf.dispose(params);
  const decoder = cachedDecoder({
    ...{ tokens, windowSize, vocabSize, cache },
    conditioning: classLabels(nullCondition),
    run: async (inputs) => (await step(inputs as never)) as unknown as StepOutputs,
  });
  return { decoder, dispose: () => step.dispose() };
}

/** Decodes the first `count` tokens of `batch` images; milliseconds a step. */
async function decodeImages(decoder: Decoder, batch: number, count: number): Promise<number> {
  const session = decoder.start(new Int32Array(batch).fill(7));
  const windows = new Int32Array(batch * decoder.windowSize);
  const start = performance.now();
  for (let slot = 0; slot < count; slot++) await session.step(windows.fill(slot % 100));
  return (performance.now() - start) / count;
}

const VQ16: VqConfig = {
  ...{ codebook_size: 16384, codebook_embed_dim: 8, codebook_l2_norm: true, codebook_show_usage: false },
  ...{ commit_loss_beta: 0.25, entropy_loss_ratio: 0, z_channels: 256 },
  ...{ encoder_ch_mult: [1, 1, 2, 2, 4], decoder_ch_mult: [1, 1, 2, 2, 4] },
};

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
