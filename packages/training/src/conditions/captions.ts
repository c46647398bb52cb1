import { toFloat32 } from "@tensorar/checkpoint";
import { readSafetensors } from "@tensorar/checkpoint/node";
import { TensorARError } from "@tensorar/core";
import type { ConditionSpec } from "@tensorar/model";
import type { Caption } from "@tensorar/sampler";

/**
 * Captions as features of a text encoder: a safetensors file with `caption` [N, C, width] and `mask` [N, C].
 * @throws TensorARError when they do not fit the model
 */
export async function loadCaptions(file: string, spec: Readonly<Record<string, ConditionSpec>>): Promise<Caption[]> {
  const { caption, mask } = await readSafetensors(file);
  const shape = spec.caption!.shape as readonly number[];
  const [positions] = shape as [number];
  const count = mask?.shape[0] ?? 0;
  if (
    !caption ||
    !mask ||
    count === 0 ||
    caption.shape.join() !== [count, ...shape].join() ||
    mask.shape.join() !== [count, positions].join()
  ) {
    throw new TensorARError(
      `${file}: holds caption [${caption?.shape ?? "nothing"}] and mask [${mask?.shape ?? "nothing"}]; ` +
        `this model takes caption [N, ${shape.join(", ")}] and mask [N, ${positions}]`,
    );
  }
  const [features, masks] = [toFloat32(caption), toFloat32(mask)];
  const size = features.length / count;
  return Array.from({ length: count }, (_, i) => {
    const own = masks.slice(i * positions, (i + 1) * positions);
    // What the original feeds: features of padding are 0.
    const values = features.slice(i * size, (i + 1) * size);
    return { mask: own, features: values.map((value, at) => value * own[Math.floor((at * positions) / size)]!) };
  });
}
