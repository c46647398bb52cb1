import type { ExportManifest, SessionSettings, Target } from "@tensorar/manifest";
import { DEVICE_RESIDENT } from "@tensorar/manifest";
import type { FusionTarget, Quantization, TraceOptions } from "@tensorar/onnx";
import { isOfTextEncoder } from "@tensorar/text-encoder";

/** Providers of ONNX Runtime that run its own operators. TensorRT and Core ML compile graphs of standard ones. */
const FUSED: Readonly<Partial<Record<Target, FusionTarget>>> = {
  cpu: "cpu",
  cuda: "cuda",
  webgpu: "webgpu",
  directml: "directml",
};

/** TensorAR's own modules are a few percent of a model's weights; a text encoder runs once, and T5 leaves the range of float16. */
const keep = (name: string): boolean => name.startsWith("tensorar.") || isOfTextEncoder(name);

const QUANTIZATION: Readonly<Record<ExportManifest["weights"], Quantization | undefined>> = {
  float32: undefined,
  float16: { bits: 16, keep },
  int8: { bits: 8, keep },
  int4: { bits: 4, keep },
};

/** What travels with the cache, or is passed from one part of a graph to the next: cached rows, and embedded positions. */
const isTraffic = (name: string): boolean => /(^|\/)((keys|values)\/\d+|rows|x)$/.test(name);

/** How graphs are written, in which numbers and by which operators: without a target, by standard ones that any runtime takes. */
export function graphForm(
  weights: ExportManifest["weights"],
  target: Target | undefined,
): Pick<TraceOptions, "fuse" | "quantize"> {
  const [fuse, quantize] = [target && FUSED[target], QUANTIZATION[weights]];
  const inFloat16 = weights === "float16" && target !== undefined && target !== "cpu"; // CPUs compute halves as float32
  return {
    ...(fuse && { fuse }),
    ...(quantize && { quantize: inFloat16 ? { ...quantize, activations: "float16", ports: isTraffic } : quantize }),
  };
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
 * - webgpu: the cache stays in GPU buffers as the state of `decoder-resident.onnx`; nothing writes rows into such a buffer.
 * - directml: neither memory patterns nor parallel execution, which it does not support.
 * - coreml: sizes change from call to call, so the neural engine is asked for as an ML program.
 *
 * Source: the pages of the execution providers at onnxruntime.ai.
 */
export function sessionSettings(
  target: Target,
  files: Files,
  { tokens, conditionPositions, weights }: Pick<ExportManifest, "tokens" | "conditionPositions" | "weights">,
): Record<string, SessionSettings> {
  const positions = { min: 1, opt: Math.ceil(tokens / 2), max: tokens + (conditionPositions ?? PROMPT.max) };
  const ranges = { batch: BATCHES, positions, prompt: PROMPT };
  const half = weights === "float16";
  return Object.fromEntries(
    Object.entries(files).flatMap(([file, ports]) =>
      ports ? [[file, settingsOf(target, file, ports, ranges, half)]] : [],
    ),
  );
}

type Ranges = Readonly<Record<string, { readonly min: number; readonly opt: number; readonly max: number }>>;

function settingsOf(
  target: Target,
  file: string,
  { inputs, outputs }: Ports,
  ranges: Ranges,
  half: boolean,
): SessionSettings {
  const all = { graphOptimizationLevel: "all" } as const;
  const outputsOf = (names: RegExp) => outputs.map(({ name }) => name).filter((name) => names.test(name));
  const rows = outputsOf(/^rows$/);
  const keepOnDevice = rows.length > 0 ? { keepOnDevice: rows } : {};
  switch (target) {
    case "cpu":
      return { ...all, executionProviders: ["cpu"] };
    case "cuda":
      return { ...all, ...keepOnDevice, executionProviders: ["cuda", "cpu"] };
    case "tensorrt":
      return { ...all, ...keepOnDevice, executionProviders: [profile(inputs, ranges, half), "cuda", "cpu"] };
    case "webgpu":
      return {
        ...all,
        ...(file === DEVICE_RESIDENT && { keepOnDevice: outputsOf(/^(mask|keys|values)/) }),
        executionProviders: ["webgpu"],
      };
    case "directml":
      return { ...all, executionProviders: ["dml", "cpu"], executionMode: "sequential", enableMemPattern: false };
    case "coreml":
      return { ...all, executionProviders: [{ name: "coreml", modelFormat: "MLProgram" }, "cpu"] };
  }
}

/** The smallest, usual and largest shape of every input that has a free size, as TensorRT's provider takes them. */
function profile(
  inputs: Ports["inputs"],
  ranges: Ranges,
  half: boolean,
): SessionSettings["executionProviders"][number] {
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
    // TensorRT chooses the types of layers by itself where halves are allowed; sums of squares are not to be in them.
    ...(half && { trt_fp16_enable: true, trt_layer_norm_fp32_fallback: true }),
    trt_profile_min_shapes: shapes("min"),
    trt_profile_opt_shapes: shapes("opt"),
    trt_profile_max_shapes: shapes("max"),
  };
}
