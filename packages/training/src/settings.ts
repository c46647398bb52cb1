/** What may run the mathematics; `auto` is the first of the others that works. */
export const ENGINE_NAMES = ["auto", "onnx", "tensorflow", "wasm", "cpu"] as const;

/** One of {@link ENGINE_NAMES}. */
export type EngineName = (typeof ENGINE_NAMES)[number];

/** Packages with the backend of `tensorflow`, in the order in which they are tried. */
export const TENSORFLOW_PACKAGES = ["@tensorflow/tfjs-node-gpu", "@tensorflow/tfjs-node"] as const;

/** How the learning rate goes on after the warm-up: as it is, or down to 0 at the last step along half a cosine. */
export const SCHEDULES = ["constant", "cosine"] as const;

/** One of {@link SCHEDULES}. */
export type Schedule = (typeof SCHEDULES)[number];

/** What training does unless it is told otherwise. */
export const TRAINING_DEFAULTS = {
  /** Images of a batch. */
  batchSize: 64,
  /** Batches whose gradients are averaged for one step. */
  gradientAccumulation: 1,
  /** After the warm-up. */
  learningRate: 1e-3,
  /** How it goes on after the warm-up. */
  schedule: "constant",
  /** Steps over which the learning rate rises linearly from 0. */
  warmupSteps: 100,
  /** AdamW's decay of matrices. */
  weightDecay: 0.05,
  /** Largest norm of all gradients together. */
  clip: 1,
  /** Of the moving average of the weights, which is what is saved. */
  emaDecay: 0.999,
  /** Probability that a condition is replaced by what stands for none. */
  classDropout: 0.1,
  /** The one source of all random numbers. */
  seed: 0,
  /** Steps between checkpoints. */
  checkpointEvery: 250,
  /** Steps between lines of `log.jsonl`. */
  logEvery: 10,
} as const;
