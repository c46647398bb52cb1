import { noProgress, type StartProgress, TensorARError } from "@tensorar/core";
import { appendJsonLine } from "@tensorar/core/node";
import { type ColorsOf, colorClassifier, genEvalConfidence, scoreGenEval } from "@tensorar/metrics";
import type { Detector, RgbImages } from "@tensorar/metrics/features";
import type { ColorNetwork } from "./colors-file";
import type { PromptedImage } from "./images";
import { type FoundObject, type ImageResult, linesFile } from "./results";
import { within } from "./within";

/** What scores images. */
export interface GenEvalNetworks {
  readonly detector: Detector;
  /** Undefined where no prompt names a colour. */
  readonly colors: ColorNetwork | undefined;
}

/** How images are scored. */
export interface ScoreOptions {
  readonly signal: AbortSignal;
  readonly progress?: StartProgress;
  /** Is told how far it is where it is stopped. */
  readonly note?: (line: string) => void;
}

/**
 * Scores every image that is not done, and writes each result down at once.
 * @param onBad what to do with an image that can't be read: throw the error, or count the image
 * @returns results of all images that can be read, in their order
 * @throws TensorARError for results that belong to other prompts, and the reason of `signal` when it aborts
 */
export async function scoreImages(
  images: readonly PromptedImage[],
  done: readonly ImageResult[],
  networks: GenEvalNetworks,
  out: string,
  onBad: (image: PromptedImage, error: Error) => void,
  { signal, progress: start = noProgress, note = () => {} }: ScoreOptions,
): Promise<ImageResult[]> {
  const known = new Map(done.map((result) => [result.image, result]));
  const left = images.length - images.filter(({ name }) => known.has(name)).length;
  const progress = start("geneval", images.length, "images", images.length - left);
  const results: ImageResult[] = [];
  let correct = 0;
  try {
    for (const image of images) {
      if (signal.aborted) note(`${results.length} of ${images.length} images are scored; --resume continues`);
      signal.throwIfAborted();
      const pixels = known.has(image.name) ? undefined : await image.load().catch((error) => onBad(image, error));
      const result = pixels
        ? await within(image.name, () => scoreImage(image, pixels, networks))
        : known.get(image.name);
      if (!result) continue;
      if (result.prompt !== image.prompt.prompt)
        throw new TensorARError(
          `${linesFile(out)}: ${image.name} was scored for "${result.prompt}", not "${image.prompt.prompt}"; choose another --output`,
        );
      if (!known.has(image.name)) await appendJsonLine(linesFile(out), result);
      results.push(result);
      correct += result.correct ? 1 : 0;
      progress.update(results.length, `${correct} correct`);
    }
  } finally {
    progress.stop();
  }
  return results;
}

async function scoreImage(
  { name, prompt }: PromptedImage,
  pixels: RgbImages,
  { detector, colors }: GenEvalNetworks,
): Promise<ImageResult> {
  const [detections] = (await detector.detect(pixels)) as [FoundObject[]];
  const named = new Map<FoundObject, string>();
  const colorsOf: ColorsOf = async (objects, className) => {
    const found = await classifier(colors, pixels)(objects, className);
    for (const [i, object] of objects.entries()) named.set(object, found[i]!);
    return found;
  };
  const { tag, correct, reasons } = await scoreGenEval(prompt, detections, colorsOf);
  // Those that count in any task; the rest is noise that would only make files large.
  const kept = detections.filter(({ score }) => score > genEvalConfidence("single_object"));
  const objects = kept.map((object) => ({ ...object, ...(named.has(object) && { color: named.get(object)! }) }));
  return {
    image: name,
    prompt: prompt.prompt,
    tag,
    correct,
    reasons,
    size: [pixels.height, pixels.width] as const,
    objects,
  };
}

function classifier(colors: ColorNetwork | undefined, pixels: RgbImages): ColorsOf {
  if (colors) return colorClassifier(pixels, colors.extract, colors.colors);
  throw new TensorARError("a prompt names a colour; give --colors"); // checked before, so no user sees this
}
