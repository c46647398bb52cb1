import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { mapLeaves, type TensorData } from "@tensorar/core";
import { compileProgram, openModel, traceProgram } from "@tensorar/onnx";
import { saveModel } from "@tensorar/onnx/node";
import * as tf from "@tensorflow/tfjs-core";
import type { EncoderRuntime } from "./folder";
import type { TextEncoderProgram } from "./token-encoder";

type Tokens = Readonly<Record<"ids" | "mask", TensorData>>;

/** A compiled encoder. */
export interface CompiledEncoder {
  run(tokens: Tokens): Promise<{ readonly features: TensorData }>;
  dispose(): Promise<void>;
}

/** Bytes of weights that one graph in memory may hold: protobuf ends at 2 GiB. */
const LARGEST = 1.9e9;

/**
 * Opens an encoder's program on ONNX Runtime. Weights beyond 2 GiB, such as those of Flan-T5 XL, go through a temporary folder, which
 * is removed with the encoder.
 */
export async function compileEncoder(
  program: TextEncoderProgram,
  runtime: EncoderRuntime,
  largest = LARGEST,
): Promise<CompiledEncoder> {
  if (bytesOf(program) <= largest) {
    const run = await compileProgram(program, runtime);
    return { run: (tokens) => run(tokens), dispose: () => run.dispose() };
  }
  const dir = await mkdtemp(join(tmpdir(), "tensorar-encoder-weights-"));
  const remove = () => rm(dir, { recursive: true, force: true });
  try {
    const path = join(dir, "encoder.onnx");
    await saveModel(traceProgram(program), path, { externalDataThreshold: largest });
    const run = await openModel<Tokens, { readonly features: TensorData }>(path, runtime);
    const dispose = async () => {
      await run.dispose();
      await remove();
    };
    return { run: (tokens) => run(tokens), dispose };
  } catch (error) {
    await remove();
    throw error;
  }
}

function bytesOf({ weights }: TextEncoderProgram): number {
  let bytes = 0;
  mapLeaves<tf.Tensor, number>(
    weights,
    (value): value is tf.Tensor => value instanceof tf.Tensor,
    ({ size }) => {
      bytes += 4 * size;
      return size;
    },
  );
  return bytes;
}
