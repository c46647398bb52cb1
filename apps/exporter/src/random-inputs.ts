import type { TensorData } from "@tensorar/checkpoint";
import { createStream, type RandomStream } from "@tensorar/noise";
import type { Spec } from "./functions";
import type { ExportManifest } from "./manifest";

type Inputs = Record<string, TensorData | TensorData[]>;

function fill(spec: Spec, sizes: Record<string, number>, draw: () => number): TensorData {
  const shape = spec.shape.map((dim) => (typeof dim === "string" ? sizes[dim]! : dim));
  const length = shape.reduce((product, dim) => product * dim, 1);
  const data = Array.from({ length }, draw);
  return { dtype: spec.dtype, shape, data: spec.dtype === "int32" ? Int32Array.from(data) : Float32Array.from(data) };
}

/** Valid random inputs of the decoder step: a half-filled cache, real codes, any class. */
export function decoderInputs(manifest: ExportManifest, batch: number, seed: number): Inputs {
  const random: RandomStream = createStream(seed, "decoder-inputs", batch);
  const slots = manifest.conditionSlots + Math.floor((manifest.tokens - 1) / 2);
  const sizes = { batch, slots: slots + 2 };
  const { condition, window, position, mask, keys, values } = manifest.files["decoder.onnx"]!.inputs as Record<
    string,
    Spec & Spec[]
  >;
  const maskData = fill(mask!, sizes, () => 0);
  for (let row = 0; row < batch; row++)
    (maskData.data as Float32Array).fill(-1e9, row * sizes.slots + slots, (row + 1) * sizes.slots);
  return {
    condition: fill(condition!, sizes, () => random.below(manifest.nullCondition + 1)),
    window: fill(window!, sizes, () => random.below(manifest.vocabSize)),
    position: fill(position!, sizes, () => slots),
    mask: maskData,
    keys: keys!.map((spec) => fill(spec, sizes, () => random.normal())),
    values: values!.map((spec) => fill(spec, sizes, () => random.normal())),
  };
}

/** Random codes for the image decoder. */
export function imageInputs(manifest: ExportManifest, batch: number, seed: number): Inputs {
  const random = createStream(seed, "image-inputs", batch);
  return {
    codes: fill(manifest.files["image-decoder.onnx"]!.inputs.codes as Spec, { batch }, () =>
      random.below(manifest.vocabSize),
    ),
  };
}
