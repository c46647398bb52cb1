import { imageGrid, openSamples, refinementPath, savePng } from "@tensorar/data";
import { codesByDepth } from "@tensorar/evaluation/report";
import type { SamplingConditions } from "./sampling-conditions";
import type { TokenizerRunner } from "./tokenizer-runner";
import { type Turns, turnOf } from "./turns";

/** What images of several prompts, scales or seeds show, and what they are made with; undefined where there is nothing to tell. */
export function imageTitles(
  { names, labels, ofTexts }: SamplingConditions,
  turns: Turns,
): ((image: number) => string) | undefined {
  const [scaled, seeded] = [turns.scales.length > 1, turns.seeds.length > 1];
  if (!ofTexts && !scaled && !seeded) return undefined;
  return (image) => {
    const { scale, seed } = turnOf(turns, image);
    const name = names[labels[image]!] ?? "";
    return [name, ...(scaled ? [`scale ${scale}`] : []), ...(seeded ? [`seed ${seed}`] : [])].join(" · ");
  };
}

/** Prompts or classes that have a strip. */
const MOST_STRIPS = 8;
/** Width of an image in a strip, in pixels, at least. */
const WIDTH = 96;

/**
 * Writes `refinement.png`: for each prompt or class a strip with its first image, from first drafts to final tokens, and its name.
 * @throws the reason of `signal` when it aborts
 */
export async function writeRefinement(dir: string, tokenizer: TokenizerRunner, signal: AbortSignal): Promise<void> {
  const samples = await openSamples(dir);
  const { labels, classes, tokens: T, windowSize: k, imageSize: size } = samples;
  const shown = [...new Set(labels)].slice(0, MOST_STRIPS);
  const strips: Uint8Array[] = [];
  for (const label of shown) {
    const { trace } = await samples.read(labels.indexOf(label), 1);
    strips.push(await tokenizer.decode(codesByDepth(trace, 1, T, k), size, signal)); // [k, S, S, 3]
  }
  const images = new Uint8Array(Buffer.concat(strips));
  const scale = Math.max(1, Math.ceil(WIDTH / size));
  const captions = shown.map((label) => classes[label]!);
  const shape = { count: shown.length * k, height: size, width: size };
  await savePng(refinementPath(dir), await imageGrid(images, { ...shape, columns: k, scale, captions }));
}
