import type { ExportManifest } from "./manifest";

/** Runtimes that an export is made for. */
export const TARGETS = ["cpu", "cuda", "tensorrt", "webgpu", "directml", "coreml"] as const;

export type Target = (typeof TARGETS)[number];

/** What a session of a graph is opened with: ONNX Runtime's own names. */
export interface SessionSettings {
  /** In order of preference: a name, or a name with options. */
  readonly executionProviders: readonly (string | Readonly<Record<string, string | number | boolean>>)[];
  readonly graphOptimizationLevel: "all" | "extended";
  readonly executionMode?: "sequential";
  readonly enableMemPattern?: boolean;
  /** Outputs that best stay on the device between steps. */
  readonly keepOnDevice?: readonly string[];
}

type Files = ExportManifest["files"];
type Ports = Files["decoder.onnx"];

/** Sizes that TensorRT builds an engine for. */
const BATCHES = { min: 1, opt: 2, max: 32 } as const;
const PROMPT = { min: 1, opt: 32, max: 256 } as const;

/**
 * Session settings of each graph for a target.
 * - cpu: everything is optimized; `MatMulNBits` runs on it for 4 and 8 bits.
 * - cuda, tensorrt: the cache stays on the device by IO binding; TensorRT gets the range of every free size, since it builds
 *   an engine for them, and falls back on CUDA for what it lacks.
 * - webgpu: rows of the cache stay in GPU buffers.
 * - directml: neither memory patterns nor parallel execution, which it does not support.
 * - coreml: sizes change from call to call, so the neural engine is asked for as an ML program.
 *
 * Source: the pages of the execution providers at onnxruntime.ai.
 */
export function sessionSettings(
  target: Target,
  files: Files,
  { tokens, conditionSlots }: Pick<ExportManifest, "tokens" | "conditionSlots">,
): Record<string, SessionSettings> {
  const slots = { min: 1, opt: Math.ceil(tokens / 2), max: tokens + (conditionSlots ?? PROMPT.max) };
  const ranges = { batch: BATCHES, slots, prompt: PROMPT };
  return Object.fromEntries(
    Object.entries(files).flatMap(([file, ports]) => (ports ? [[file, settingsOf(target, ports, ranges)]] : [])),
  );
}

type Ranges = Readonly<Record<string, { readonly min: number; readonly opt: number; readonly max: number }>>;

function settingsOf(target: Target, { inputs, outputs }: Ports, ranges: Ranges): SessionSettings {
  const all = { graphOptimizationLevel: "all" } as const;
  const rows = outputs.map(({ name }) => name).filter((name) => /^(keys|values)/.test(name));
  const keepOnDevice = rows.length > 0 ? { keepOnDevice: rows } : {};
  switch (target) {
    case "cpu":
      return { ...all, executionProviders: ["cpu"] };
    case "cuda":
      return { ...all, ...keepOnDevice, executionProviders: ["cuda", "cpu"] };
    case "tensorrt":
      return { ...all, ...keepOnDevice, executionProviders: [profile(inputs, ranges), "cuda", "cpu"] };
    case "webgpu":
      return { ...all, ...keepOnDevice, executionProviders: ["webgpu"] };
    case "directml":
      return { ...all, executionProviders: ["dml", "cpu"], executionMode: "sequential", enableMemPattern: false };
    case "coreml":
      return { ...all, executionProviders: [{ name: "coreml", modelFormat: "MLProgram" }, "cpu"] };
  }
}

/** The smallest, usual and largest shape of every input that has a free size, as TensorRT's provider takes them. */
function profile(inputs: Ports["inputs"], ranges: Ranges): Readonly<Record<string, string | boolean>> {
  const shapes = (which: "min" | "opt" | "max") =>
    inputs
      .filter(({ shape }) => shape.some((size) => typeof size === "string"))
      .map(
        ({ name, shape }) =>
          `${name}:${shape.map((size) => (typeof size === "string" ? ranges[size]![which] : size)).join("x")}`,
      )
      .join(",");
  return {
    name: "tensorrt",
    trt_engine_cache_enable: true,
    trt_profile_min_shapes: shapes("min"),
    trt_profile_opt_shapes: shapes("opt"),
    trt_profile_max_shapes: shapes("max"),
  };
}
