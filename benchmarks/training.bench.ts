import {
  adamW,
  attachTensorAR,
  initAdamW,
  initLlamaGen,
  llamaGen,
  llamaGenConfig,
  lossAndGradients,
  type Params,
  windowLoss,
} from "@tensorar/model";
import { compile } from "@tensorar/onnx";
import "@tensorflow/tfjs";
import * as tf from "@tensorflow/tfjs-core";
import * as ort from "onnxruntime-node";
import { matmulRate } from "./lib/machine";
import { measure } from "./lib/measure";
import { type Row, rateRow } from "./lib/row";
import { inTurnsWithTorch } from "./lib/turns";

// The peer's default shape. A position of LlamaGen's is the class, so that T tokens are T positions, as there.
const SHAPE = { dim: 256, n_layer: 4, n_head: 4, multiple_of: 256, vocab_size: 512, block_size: 64, num_classes: 100 };
const BATCH = 32;
const PEER = "train --dim 256 --layers 4 --heads 4 --vocab 512 --tokens 64 --batch 32".split(" ");

/** Forward, backward, clipping and AdamW, compiled, against the same in PyTorch (without clipping) and eagerly in tfjs. */
export async function* run(): AsyncGenerator<Row> {
  await tf.setBackend("cpu");
  const gflops = await matmulRate();
  const base = await compiledStep(trainingStep(1));
  const turns = await inTurnsWithTorch(() => measure(base.step), PEER);
  const value = tokensPerSecond(turns.value);
  const peer = turns.peer && tokensPerSecond(turns.peer);
  const limit = tokensPerSecond((1e3 * stepFlops(base.model.shapes)) / (gflops * 1e9));
  yield rateRow("training step, compiled", value, "tokens/s", { peer, limit });
  await base.dispose();

  const { step, dispose } = await compiledStep(trainingStep(4));
  const refining = tokensPerSecond(await measure(step));
  await dispose();
  yield rateRow("training step, compiled, TensorAR k = 4 (peer: base model)", refining, "tokens/s", { peer });
  const eager = tokensPerSecond(await eagerStep(trainingStep(1)));
  yield rateRow("training step, compiled (peer: tfjs cpu)", value, "tokens/s", { peer: eager });
}

const tokensPerSecond = (milliseconds: number): number => (1e3 * BATCH * SHAPE.block_size) / milliseconds;

/** Of the matrix products: forward once, backward twice. */
function stepFlops(shapes: Readonly<Record<string, readonly number[]>>): number {
  const positions = BATCH * SHAPE.block_size;
  const weights = Object.entries(shapes)
    .filter(([name, shape]) => shape.length === 2 && !name.includes("embedding"))
    .reduce((sum, [, [rows, columns]]) => sum + rows! * columns!, 0);
  const attention = 2 * SHAPE.n_layer * SHAPE.block_size * SHAPE.dim; // multiplications a position
  return 3 * 2 * positions * (weights + attention);
}

type TrainingStep = ReturnType<typeof trainingStep>;

/** The step as a pure function, its model, its first state and one batch. */
function trainingStep(windowSize: number) {
  const config = llamaGenConfig("GPT-B", SHAPE);
  const model = attachTensorAR(llamaGen(config), { windowSize });
  const T = SHAPE.block_size;
  const initial = () => {
    const params: Params = { ...initLlamaGen(config, 1), ...model.initModules(1) };
    return { params, ...initAdamW(params) };
  };
  const codes = (length: number, shape: readonly number[]) => ({
    dtype: "int32" as const,
    shape,
    data: Int32Array.from({ length }, (_, i) => (i * 7919) % SHAPE.vocab_size),
  });
  const batch = {
    condition: { dtype: "int32" as const, shape: [BATCH], data: Int32Array.from({ length: BATCH }, (_, i) => i) },
    windows: codes(BATCH * (T - 1) * windowSize, [BATCH, T - 1, windowSize]),
    targets: codes(BATCH * T * windowSize, [BATCH, T, windowSize]),
  };
  interface Inputs extends Record<keyof typeof batch, tf.Tensor> {
    readonly params: Params;
    readonly firstMoment: Params;
    readonly secondMoment: Params;
    readonly step: tf.Tensor;
  }
  const run = ({ params, firstMoment, secondMoment, step, condition, windows, targets }: Inputs) => {
    const { metrics, grads } = lossAndGradients(params, (current) =>
      windowLoss(model.forward(current, { condition, windows }), targets),
    );
    const learningRate = tf.scalar(1e-4);
    const options = { learningRate, step, betas: [0.9, 0.95], eps: 1e-8, weightDecay: 0.05, clip: 1 } as const;
    const next = adamW(params, grads, { firstMoment, secondMoment }, options);
    return { loss: metrics.loss, params: next.params, ...next.state };
  };
  return { model, initial, batch, run };
}

async function compiledStep({ model, initial, batch, run }: TrainingStep) {
  const state = initial();
  const specs = Object.fromEntries(
    Object.entries(state).map(([key, params]) => [
      key,
      Object.fromEntries(
        Object.entries(params as Params).map(([name, { shape }]) => [name, { dtype: "float32", shape }]),
      ),
    ]),
  );
  const inputs = { ...specs, ...batch, step: { dtype: "float32", shape: [] } };
  const compiled = await compile(run as never, inputs as never, {
    runtime: ort,
    threads: 2,
    state: ["params", "firstMoment", "secondMoment"],
  });
  await compiled.setState(state as never);
  tf.dispose({ ...state });
  let count = 0;
  const step = () => {
    count++;
    return compiled({ ...batch, step: { dtype: "float32", shape: [], data: Float32Array.of(count) } } as never);
  };
  return { model, step, dispose: () => compiled.dispose() };
}

/** Milliseconds of one step, op by op. It takes a minute: no warm-up. */
async function eagerStep({ initial, batch, run }: TrainingStep): Promise<number> {
  const state = initial();
  const tensors = Object.fromEntries(
    Object.entries(batch).map(([key, { data, shape }]) => [key, tf.tensor(data, [...shape], "int32")]),
  ) as Record<keyof typeof batch, tf.Tensor>;
  const step = tf.scalar(1);
  const once = async () => {
    const outputs = run({ ...state, ...tensors, step });
    await outputs.loss.data();
    tf.dispose({ ...outputs });
  };
  const milliseconds = await measure(once, { warmup: 0, runs: 1 });
  tf.dispose([{ ...state }, { ...tensors }, step]);
  return milliseconds;
}
