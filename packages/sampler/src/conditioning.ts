import { TensorARError } from "@tensorar/core";
import type { StepTensor } from "./cached-decoder";

/** A condition as the step takes it: one tensor [R, ...], or several by name. */
export type ConditionTensors = StepTensor | Readonly<Record<string, StepTensor>>;

/** How a model takes conditions: `C` is that of one image, `T` those of a batch as the step takes them. */
export interface Conditioning<C, T extends ConditionTensors = ConditionTensors> {
  /** What stands for "none" beside this condition in guidance. */
  unconditional(condition: C): C;
  tensors(conditions: ArrayLike<C>): T;
}

/** Conditions that are classes. @param nullClass the class that stands for "none" */
export const classLabels = (nullClass: number): Conditioning<number, StepTensor> => ({
  unconditional: () => nullClass,
  tensors: (conditions) => ({ dtype: "int32", shape: [conditions.length], data: Int32Array.from(conditions) }),
});

/** A caption as a text encoder's features. */
export interface Caption {
  /** [C, caption_dim] row-major, left-padded with zeros. */
  readonly features: Float32Array;
  /** [C]: 1, or 0 where a position is padding. */
  readonly mask: Float32Array;
  /** Replaced by the model's learned null caption. */
  readonly dropped?: boolean;
}

/** Conditions that are captions, for LlamaGen's text-conditional models. */
export const captionFeatures: Conditioning<Caption, Record<"caption" | "mask" | "dropped", StepTensor>> = {
  unconditional: (caption) => ({ ...caption, dropped: true }),
  tensors: (conditions) => {
    const captions = Array.from(conditions);
    const positions = captions[0]!.mask.length;
    const width = captions[0]!.features.length / positions;
    for (const [i, { features, mask }] of captions.entries()) {
      if (mask.length === positions && features.length === positions * width && Number.isInteger(width)) continue;
      const given = `${features.length} features in ${mask.length} positions`;
      throw new TensorARError(
        `caption ${i}: ${given} do not fit ${positions} positions of ${width}; pad all captions alike`,
      );
    }
    const float32 = (parts: Float32Array[], shape: number[]): StepTensor => ({
      dtype: "float32",
      shape: [captions.length, ...shape],
      data: joined(parts),
    });
    return {
      caption: float32(
        captions.map(({ features }) => features),
        [positions, width],
      ),
      mask: float32(
        captions.map(({ mask }) => mask),
        [positions],
      ),
      dropped: {
        dtype: "int32",
        shape: [captions.length],
        data: Int32Array.from(captions, ({ dropped }) => (dropped ? 1 : 0)),
      },
    };
  },
};

function joined(parts: readonly Float32Array[]): Float32Array {
  const all = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/**
 * Conditions that are tokenized prompts, of any lengths, for Janus-Pro. "None" beside a prompt is its first and last
 * token with padding tokens between, as in `generation_inference.py` of deepseek-ai/Janus.
 * @param padId the text token of padding
 */
export const promptTokens = (
  padId: number,
): Conditioning<ArrayLike<number>, Record<"prompt" | "mask", StepTensor>> => ({
  unconditional: (prompt) => Array.from(prompt, (token, i) => (i === 0 || i === prompt.length - 1 ? token : padId)),
  tensors: (conditions) => {
    const prompts = Array.from(conditions);
    const longest = Math.max(...prompts.map(({ length }) => length));
    const [ids, mask] = [
      new Int32Array(prompts.length * longest).fill(padId),
      new Float32Array(prompts.length * longest),
    ];
    for (const [row, prompt] of prompts.entries()) {
      if (prompt.length === 0) throw new TensorARError(`prompt ${row} is empty; pass at least one token`);
      const at = (row + 1) * longest - prompt.length;
      ids.set(prompt, at);
      mask.fill(1, at, at + prompt.length);
    }
    const shape = [prompts.length, longest];
    return { prompt: { dtype: "int32", shape, data: ids }, mask: { dtype: "float32", shape, data: mask } };
  },
});
