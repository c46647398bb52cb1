import { ONLY } from "@tensorar/manifest";
import { createStream } from "@tensorar/noise";
import { type Conditioning, captionFeatures, classLabels, promptTokens } from "@tensorar/sampler";
import type { SourceSizes } from "./sources";

/** What images may be conditioned on, and how the graphs take it. */
export interface Conditions {
  readonly conditioning: Conditioning<unknown>;
  readonly conditions: readonly unknown[];
}

/** Any conditions for `count` images: classes; captions, every other one padded; or prompts of different lengths. */
export function randomConditions(sizes: SourceSizes, count: number, seed: number): Conditions {
  const { condition, unconditionalClass, padId } = sizes;
  const random = createStream(seed, "conditions");
  const each = <C>(conditioning: Conditioning<C>, draw: (image: number) => C): Conditions => ({
    conditioning: conditioning as Conditioning<unknown>,
    conditions: Array.from({ length: count }, (_, image) => draw(image)),
  });
  const only = condition[ONLY];
  if (only) {
    // The last of the numbers that it takes stands for none.
    const classes = Math.max(1, Math.min(only.below!, unconditionalClass < 0 ? only.below! : unconditionalClass));
    return each(classLabels(unconditionalClass), () => random.below(classes));
  }
  if (condition.prompt) {
    const { below } = condition.prompt;
    return each(promptTokens(padId!), (image) => Array.from({ length: 3 + image }, () => random.below(below!)));
  }
  const [positions, width] = condition.caption!.shape as [number, number];
  return each(captionFeatures, (image) => {
    const padding = image % 2 === 1 ? Math.floor(positions / 3) : 0;
    return {
      features: Float32Array.from({ length: positions * width }, (_, i) => (i < padding * width ? 0 : random.normal())),
      mask: Float32Array.from({ length: positions }, (_, position) => (position < padding ? 0 : 1)),
    };
  });
}
