import { join } from "node:path";
import { openModel } from "@tensorar/onnx";
import type * as ort from "onnxruntime-node";
import { readManifest } from "./manifest";
import { decoderInputs, imageInputs } from "./random-inputs";

export interface Timing {
  readonly file: string;
  readonly batch: number;
  /** Median over the runs. */
  readonly milliseconds: number;
}

/** Times both graphs of an export: one decoder step with a half-filled cache, one decoding of images. */
export async function benchExport(
  dir: string,
  runtime: typeof ort,
  options: { threads: number; batches: readonly number[]; runs: number },
): Promise<Timing[]> {
  const manifest = await readManifest(dir);
  const timings: Timing[] = [];
  for (const { file, inputsOf } of [
    { file: "decoder.onnx", inputsOf: decoderInputs },
    { file: "image-decoder.onnx", inputsOf: imageInputs },
  ]) {
    const run = await openModel(join(dir, file), { runtime, threads: options.threads });
    for (const batch of options.batches) {
      const inputs = inputsOf(manifest, batch, 0);
      const times: number[] = [];
      for (let i = -2; i < options.runs; i++) {
        const begun = performance.now();
        await run(inputs as never);
        if (i >= 0) times.push(performance.now() - begun);
      }
      timings.push({ file, batch, milliseconds: times.sort((a, b) => a - b)[times.length >> 1]! });
    }
    await run.dispose();
  }
  return timings;
}
