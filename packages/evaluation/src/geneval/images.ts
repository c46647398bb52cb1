import { existsSync } from "node:fs";
import { stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { TensorARError } from "@tensorar/core";
import { readText } from "@tensorar/core/node";
import {
  decodeImage,
  describeLeftOut,
  holdsSamples,
  listFolder,
  openSamples,
  readImageFile,
  type Tally,
} from "@tensorar/data";
import type { ImageLimits } from "@tensorar/data/limits";
import { type GenEvalPrompt, parseGenEval } from "@tensorar/metrics";
import type { RgbImages } from "@tensorar/metrics/features";

/** An image to score. */
export interface PromptedImage {
  /** Its path inside the folder of images, or its number among samples. */
  readonly name: string;
  readonly prompt: GenEvalPrompt;
  load(): Promise<RgbImages>;
}

const NUMBERED = /^\d+\.[^.]+$/;

/** @throws TensorARError when there is no such file, or a line is no prompt */
export async function readPrompts(path: string): Promise<GenEvalPrompt[]> {
  const prompts = parseGenEval(await readText(path), path);
  if (prompts.length === 0)
    throw new TensorARError(`${path} holds no prompts; give GenEval's evaluation_metadata.jsonl`);
  return prompts;
}

/**
 * Images with the prompts they were made for: GenEval's layout, `DIR/00012/samples/0000.png` for the 13th prompt with that
 * prompt in `DIR/00012/metadata.jsonl`; or samples of `tensorar sample`, which know their prompts' texts.
 *
 * @param prompts all of them, to say what is missing; they may be left out where metadata.jsonl is there
 * @param tally counts files that are none of these images
 * @throws TensorARError naming what is missing, or does not belong to its prompt
 */
export async function promptedImages(
  dir: string,
  prompts: readonly GenEvalPrompt[] | undefined,
  limits: ImageLimits,
  tally: Tally,
): Promise<PromptedImage[]> {
  if (!existsSync(dir) || !(await stat(dir)).isDirectory())
    throw new TensorARError(`${dir} is no folder; give images as DIR/00000/samples/0000.png, or samples`);
  if (holdsSamples(dir)) return fromSamples(dir, prompts);
  const { folders, images: stray } = await listFolder(dir, tally);
  for (const { name } of stray) tally.add(OUTSIDE, name);
  const numbers = folders.map(({ name }) => name).filter((name) => /^\d+$/.test(name));
  if (numbers.length === 0)
    throw new TensorARError(`${dir} holds neither folders 00000, 00001, … nor samples; give one of these`);
  if (prompts) expectAll(dir, numbers, prompts);
  const images: PromptedImage[] = [];
  for (const number of numbers) images.push(...(await ofPrompt(dir, number, prompts, limits, tally)));
  return images;
}

const OUTSIDE = "image outside NUMBER/samples/NUMBER.png";

function expectAll(dir: string, numbers: readonly string[], prompts: readonly GenEvalPrompt[]): void {
  const there = new Set(numbers.map(Number));
  const missing = prompts.flatMap((_, i) => (there.has(i) ? [] : [i]));
  if (missing.length === 0) return;
  const [first] = missing as [number];
  const folder = join(dir, String(first).padStart(5, "0"));
  throw new TensorARError(
    `${folder}: there are no images for "${prompts[first]!.prompt}", and for ${missing.length} of ${prompts.length} prompts in all; generate them, or leave out --prompts to score those that are there`,
  );
}

async function ofPrompt(
  dir: string,
  number: string,
  prompts: readonly GenEvalPrompt[] | undefined,
  limits: ImageLimits,
  tally: Tally,
): Promise<PromptedImage[]> {
  const folder = join(dir, number);
  const prompt = await promptOf(folder, Number(number), prompts);
  const samples = join(folder, "samples");
  const found = existsSync(samples) ? (await listFolder(samples, tally, `${number}/samples`)).images : [];
  const isSample = ({ path }: { readonly path: string }) => NUMBERED.test(basename(path));
  for (const image of found) if (!isSample(image)) tally.add(OUTSIDE, image.name);
  const images = found.filter(isSample);
  if (images.length === 0)
    throw new TensorARError(
      `${samples} holds no image (0000.png, 0001.png, …) of "${prompt.prompt}"${describeLeftOut(tally.list())}; generate some`,
    );
  return images.map(({ name, path }) => ({
    name,
    prompt,
    load: async () => ({ count: 1, ...(await decodeImage(path, () => readImageFile(path, limits), limits)) }),
  }));
}

async function promptOf(folder: string, index: number, prompts: readonly GenEvalPrompt[] | undefined) {
  const file = join(folder, "metadata.jsonl");
  const given = prompts?.[index];
  if (prompts && !given)
    throw new TensorARError(
      `${folder}: --prompts has no line ${index + 1}, only ${prompts.length}; give the file that it was made with`,
    );
  if (!existsSync(file)) {
    if (given) return given;
    throw new TensorARError(`${file} is missing; give the prompts with --prompts`);
  }
  const [own] = await readPrompts(file);
  if (given && JSON.stringify(given) !== JSON.stringify(own))
    throw new TensorARError(
      `${file}: "${own!.prompt}" is not line ${index + 1} of --prompts, "${given.prompt}"; give the file that it was made with`,
    );
  return own!;
}

async function fromSamples(dir: string, prompts: readonly GenEvalPrompt[] | undefined): Promise<PromptedImage[]> {
  if (!prompts) throw new TensorARError(`${dir} holds samples; give what they were drawn for with --prompts`);
  const samples = await openSamples(dir);
  const { count, imageSize: size, labels, classes } = samples;
  const byText = new Map(prompts.map((prompt) => [prompt.prompt, prompt]));
  const seen = new Set(Array.from(labels, (label) => classes[label]));
  const missing = prompts.find(({ prompt }) => !seen.has(prompt));
  if (missing)
    throw new TensorARError(
      `${dir}: no sample was drawn for "${missing.prompt}"; sample with all prompts of --prompts`,
    );
  return Array.from({ length: count }, (_, i) => {
    const text = classes[labels[i]!]!;
    const prompt = byText.get(text);
    if (!prompt)
      throw new TensorARError(
        `${dir}: sample ${i} was drawn for "${text}", which --prompts does not hold; give its prompts`,
      );
    return {
      name: String(i),
      prompt,
      load: async () => ({ data: (await samples.read(i, 1)).images, count: 1, height: size, width: size }),
    };
  });
}
