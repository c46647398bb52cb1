import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TensorData } from "@tensorar/checkpoint";
import { exportFolders } from "@tensorar/exporter";
import { llamaGen, llamaGenConfig } from "@tensorar/model";
import { saveModel } from "@tensorar/model/node";
import { openModel } from "@tensorar/onnx";
import { cachedDecoder, classLabels, generate, type StepOutputs } from "@tensorar/sampler";
import { vqShapes } from "@tensorar/tokenizer";
import { saveTokenizer } from "@tensorar/tokenizer/node";
import * as tf from "@tensorflow/tfjs-core";
import * as ort from "onnxruntime-node";
import { measurePair } from "../lib/measure";
import { costRow, type Row } from "../lib/row";
import { timingWeights } from "../lib/weights";
import { VQ16 } from "./vq16";

/** One guided image of GPT-B and VQ-16: all in one graph, against a step at a time and the image decoder. */
export async function endToEndGraph(): Promise<Row> {
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
    const { cache, tokens, vocabSize, unconditionalClass } = await exportFolders(modelDir, tokenizerDir, out, {
      target: "cpu",
      whole: { topK: 0, topP: 1 },
    });
    const [whole, step, images] = await Promise.all(
      ["generation.onnx", "decoder.onnx", "image-decoder.onnx"].map((file) =>
        openModel(join(out, file), { runtime: ort, threads: 2 }),
      ),
    );
    const decoder = cachedDecoder({
      tokens,
      windowSize: 1,
      vocabSize,
      cache,
      conditioning: classLabels(unconditionalClass),
      run: async (inputs) => (await step!(inputs as never)) as unknown as StepOutputs,
    });
    const int = (...data: number[]) => ({ dtype: "int32", shape: [data.length], data: Int32Array.from(data) }) as const;
    const float = (shape: number[], value: number) =>
      ({ dtype: "float32", shape, data: Float32Array.of(value) }) as const;
    const inputs = { condition: int(7), seed: int(1), index: int(0), scale: float([1], 2), temperature: float([1], 1) };
    const stepwise = async () => {
      const options = { seed: 1, temperature: 1, topK: 0, topP: 1, drafts: { kind: "raw" } } as const;
      const loop = generate(decoder, { ...options, conditions: [7], guidance: { kind: "constant", scale: 2 } });
      let event = await loop.next();
      while (!event.done) event = await loop.next();
      await images!({ codes: { dtype: "int32", shape: [1, tokens], data: event.value.codes } });
    };
    const { a, b } = await measurePair(() => whole!(inputs), stepwise, { warmup: 1, runs: 6 });
    await Promise.all([whole, step, images].map((each) => each!.dispose()));
    return costRow("one guided image of GPT-B, end-to-end graph (peer: stepwise)", a / 1000, "s", {
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
