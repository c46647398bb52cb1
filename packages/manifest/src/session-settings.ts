import { z } from "zod";

/** Runtimes that an export is made for. */
export const TARGETS = ["cpu", "cuda", "tensorrt", "webgpu", "directml", "coreml"] as const;

/** A runtime that an export can be written for. */
export type Target = (typeof TARGETS)[number];

/** Ranges of shapes of inputs, as TensorRT's provider takes them: `mask:1x1,keys/0:1x4x1x8`. */
const shapes = z
  .string()
  .max(1 << 20)
  .regex(/^[\w./-]+:\d{1,9}(x\d{1,9})*(,[\w./-]+:\d{1,9}(x\d{1,9})*)*$/, "not a list of NAME:SIZExSIZE");

const tensorrt = z.strictObject({
  name: z.literal("tensorrt"),
  trt_engine_cache_enable: z.boolean().exactOptional(),
  trt_fp16_enable: z.boolean().exactOptional(),
  trt_layer_norm_fp32_fallback: z.boolean().exactOptional(),
  trt_profile_min_shapes: shapes.exactOptional(),
  trt_profile_opt_shapes: shapes.exactOptional(),
  trt_profile_max_shapes: shapes.exactOptional(),
});
const coreml = z.strictObject({
  name: z.literal("coreml"),
  modelFormat: z.enum(["MLProgram", "NeuralNetwork"]).exactOptional(),
});
const provider = z.union(
  [z.enum(["cpu", "cuda", "tensorrt", "webgpu", "dml", "coreml"]), z.discriminatedUnion("name", [tensorrt, coreml])],
  "not an execution provider with options that an export may set",
);

/**
 * What a session of a graph is opened with, by ONNX Runtime's names. It has options that name files to write and libraries to
 * load, and exports come from elsewhere: those here are all that an export may set.
 */
export const sessionSettingsSchema = z.strictObject({
  /** In order of preference: a name, or a name with options. */
  executionProviders: z.array(provider).min(1).max(8).readonly(),
  graphOptimizationLevel: z.enum(["all", "extended"]),
  executionMode: z.literal("sequential").exactOptional(),
  enableMemPattern: z.boolean().exactOptional(),
  /** Outputs that best stay on the device between steps. */
  keepOnDevice: z.array(z.string()).readonly().exactOptional(),
});

/** What a graph is opened with: options of ONNX Runtime that are known to be harmless. */
export type SessionSettings = Readonly<z.infer<typeof sessionSettingsSchema>>;
