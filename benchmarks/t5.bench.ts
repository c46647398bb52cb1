import { fileURLToPath } from "node:url";
import { T5_SIZES, t5Encoder } from "@tensorar/model";
import { compileProgram } from "@tensorar/onnx";
import { textEncoderProgram } from "@tensorar/text-encoder";
import "@tensorflow/tfjs";
import * as tf from "@tensorflow/tfjs-core";
import * as ort from "onnxruntime-node";
import { matmulRate } from "./lib/machine";
import { measure, median } from "./lib/measure";
import { type Row, rateRow } from "./lib/row";
import { inTurnsWithTorch } from "./lib/turns";
import { timingWeights } from "./lib/weights";

const PEER = fileURLToPath(new URL("./peers/torch_t5.py", import.meta.url));
const SIZE = "flan-t5-base";
const BATCH = 8;
/** Tokens of a text, as LlamaGen pads them: all are computed. */
const TOKENS = 120;

/** The text encoder, compiled: GFLOP/s and texts/s, next to a matrix product in the same process and to T5EncoderModel. */
export async function* run(): AsyncGenerator<Row> {
  await tf.ready();
  const config = T5_SIZES[SIZE];
  const encoder = t5Encoder(config);
  const params = timingWeights(encoder.shapes);
  const encode = await compileProgram(textEncoderProgram(encoder, params), { runtime: ort });
  tf.dispose(params);
  const tensor = (draw: (i: number) => number) => ({
    dtype: "int32" as const,
    shape: [BATCH, TOKENS],
    data: Int32Array.from({ length: BATCH * TOKENS }, (_, i) => draw(i)),
  });
  const inputs = { ids: tensor((i) => (i * 7919) % config.vocab_size), mask: tensor(() => 1) };
  const rates: number[] = [];
  const ours = async (): Promise<number> => {
    rates.push(await matmulRate());
    return measure(() => encode(inputs), { warmup: 1, runs: 5 });
  };
  const args = ["--config", JSON.stringify(config), "--batch", `${BATCH}`, "--tokens", `${TOKENS}`];
  const { value, peer } = await inTurnsWithTorch(ours, args, { script: PEER, modules: ["torch", "transformers"] });
  await encode.dispose();
  const rate = (ms: number): number => flops() / ms / 1e6;
  const inSecond = (ms: number): number => (1000 * BATCH) / ms;
  const name = `T5 encoder, ${SIZE}, ${TOKENS} tokens, batch ${BATCH}`;
  yield rateRow(name, rate(value), "GFLOP/s", { peer: peer && rate(peer), limit: median(rates) });
  yield rateRow(name, inSecond(value), "texts/s", { peer: peer && inSecond(peer) });
}

/** Two for each product of the blocks: with weights, of queries with keys, and of weights with values. */
function flops(): number {
  const { d_model: D, d_ff: F, d_kv, num_heads, num_layers } = T5_SIZES[SIZE];
  const inner = d_kv * num_heads;
  const perToken = 4 * D * inner + 3 * D * F + 2 * TOKENS * inner;
  return 2 * BATCH * TOKENS * num_layers * perToken;
}
