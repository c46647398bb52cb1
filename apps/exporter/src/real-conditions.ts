import { toFloat32 } from "@tensorar/checkpoint";
import { readSafetensors } from "@tensorar/checkpoint/node";
import { describeIssues, TensorARError } from "@tensorar/core";
import { readJson } from "@tensorar/core/node";
import { ONLY } from "@tensorar/manifest";
import { type Caption, type Conditioning, captionFeatures, classLabels, promptTokens } from "@tensorar/sampler";
import { z } from "zod";
import type { Conditions } from "./random-conditions";
import type { SourceSizes } from "./sources";

/**
 * What a user would ask a model for: classes, evenly spread over all of them, or what `file` holds, from its beginning and
 * again when it ends: prompts as lists of text tokens (JSON), or features of captions (safetensors: `caption`, `mask`).
 *
 * @throws TensorARError where a model of text gets no file, or one that does not fit it
 */
export async function realConditions(
  { condition, classes, unconditionalClass, padId }: SourceSizes,
  count: number,
  file: string | undefined,
): Promise<Conditions> {
  const each = <C>(conditioning: Conditioning<C>, pick: (image: number) => C): Conditions => ({
    conditioning: conditioning as Conditioning<unknown>,
    conditions: Array.from({ length: count }, (_, image) => pick(image)),
  });
  const only = condition[ONLY];
  if (only) {
    if (file !== undefined)
      throw new TensorARError(`${file}: this model takes classes, which need no file; leave it out`);
    // Models without names of classes know them up to the one that stands for none.
    const known = classes.length || (unconditionalClass > 0 ? unconditionalClass : only.below!);
    return each(classLabels(unconditionalClass), (image) => Math.floor((image * known) / count));
  }
  if (file === undefined)
    throw new TensorARError("this model takes text; name a file of prompts or captions with --conditions");
  if (condition.prompt) {
    const prompts = await readPrompts(file, condition.prompt.below!);
    return each<ArrayLike<number>>(promptTokens(padId!), (image) => prompts[image % prompts.length]!);
  }
  const [positions, width] = condition.caption!.shape;
  const captions = await readCaptions(file, [Number(positions), Number(width)]);
  return each(captionFeatures, (image) => captions[image % captions.length]!);
}

async function readPrompts(file: string, below: number): Promise<number[][]> {
  const schema = z.array(z.array(z.int().nonnegative().lt(below)).min(1)).min(1);
  const what = `prompts as [[token, …], …], JSON lists of text tokens below ${below}`;
  const contents = await readJson(file, what);
  const { success, data, error } = schema.safeParse(contents);
  if (success) return data;
  throw new TensorARError(`${file}: ${describeIssues(error.issues, contents)}; write ${what}`);
}

async function readCaptions(file: string, [positions, width]: readonly [number, number]): Promise<Caption[]> {
  const { caption, mask } = await readSafetensors(file);
  const count = mask?.shape[0] ?? 0;
  if (
    count === 0 ||
    caption?.shape.join() !== [count, positions, width].join() ||
    mask?.shape.join() !== [count, positions].join()
  )
    throw new TensorARError(
      `${file}: caption is [${caption?.shape ?? ""}] and mask [${mask?.shape ?? ""}]; ` +
        `this model takes caption [N, ${positions}, ${width}] and mask [N, ${positions}]`,
    );
  const [features, masks] = [toFloat32(caption), toFloat32(mask)];
  return Array.from({ length: count }, (_, i) => {
    const own = masks.slice(i * positions, (i + 1) * positions);
    const values = features.slice(i * positions * width, (i + 1) * positions * width);
    return { mask: own, features: values.map((value, at) => value * own[Math.floor(at / width)]!) }; // 0 where it is padding
  });
}
