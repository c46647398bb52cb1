import { TensorARError } from "@tensorar/core";
import { type Dataset, type Samples, SHARD_SIZE, SPLITS } from "@tensorar/data";
import type { ClassifierRunner } from "./classifier-runner";
import { datasetLabels, type Labels, labelsOfClass } from "./labels";

/** Whether training shows what is asked for: as it is, in other styles only, or not at all. */
export type Familiarity = "seen" | "heldOut" | "unseen";

/** A row of results: numbers of images and fractions, such as `styleAccuracy` and `heldOutStyleAccuracy`. */
export type FollowingRow = Readonly<Record<string, number>>;

/** Ranks below this count as found. */
const TOP = 10;
const BATCH = 64;

/** Counts images, and how many of them show what they should, by part. */
function createScores() {
  const sums = new Map<string, { hits: number; count: number }>();
  const add = (key: string, hit: boolean): void => {
    const sum = sums.get(key) ?? { hits: 0, count: 0 };
    sum.count++;
    if (hit) sum.hits++;
    sums.set(key, sum);
  };
  return {
    add(familiarity: Familiarity, ranks: Readonly<Record<string, number>>): void {
      const key = (name: string) =>
        familiarity === "seen" ? name : `${familiarity}${name[0]!.toUpperCase()}${name.slice(1)}`;
      for (const [part, rank] of Object.entries(ranks))
        add(key(part === "name" ? `nameTop${TOP}` : `${part}Accuracy`), rank < (part === "name" ? TOP : 1));
      if (ranks.style !== undefined && ranks.object !== undefined)
        add(key("classAccuracy"), ranks.style === 0 && ranks.object === 0);
      add(key("scoredImages"), true);
    },
    row: (): FollowingRow =>
      Object.fromEntries(
        [...sums].map(([key, { hits, count }]) => [key, /scoredImages$/i.test(key) ? count : hits / count]),
      ),
  };
}

/** How good a classifier is on the real images of a data set that it was not trained on. @throws the reason of `signal` when it aborts */
export async function classifierAccuracy(
  classifier: ClassifierRunner,
  dataset: Dataset,
  signal: AbortSignal,
): Promise<FollowingRow> {
  const labels = datasetLabels(dataset, classifier.config.parts);
  const scores = createScores();
  for (const [split, familiarity] of Object.entries(FAMILIARITY)) {
    if (split === "train") continue;
    const images = dataset[split as keyof typeof FAMILIARITY];
    for (let first = 0; first < images.length; first += BATCH) {
      signal.throwIfAborted();
      const some = images.subarray(first, first + BATCH);
      const wanted = Array.from(some, (image) => labels[image]!);
      const ranks = await classifier.ranks(await dataset.readImages(some), wanted);
      for (const own of ranks) scores.add(familiarity, own);
    }
  }
  return scores.row();
}

const FAMILIARITY = { train: "seen", validation: "unseen", test: "unseen", combinations: "heldOut" } as const;

/** What images of a prompt or class should show. */
interface Wanted {
  readonly labels: Labels;
  readonly familiarity: Familiarity;
}

/**
 * Whether samples show what they were asked for, as a classifier sees it. Of a model of classes that is their class; of one of
 * prompts what all images of the data set with this caption have in common.
 *
 * @throws TensorARError when the samples are of another size than the classifier takes, or no prompt is a caption of the data set;
 *   the reason of `signal` when it aborts
 */
export async function instructionFollowing(
  classifier: ClassifierRunner,
  samples: Samples,
  dataset: Dataset,
  signal: AbortSignal,
): Promise<FollowingRow> {
  const { imageSize, parts } = classifier.config;
  if (samples.imageSize !== imageSize)
    throw new TensorARError(`the samples are ${samples.imageSize} px, the classifier takes ${imageSize} px`, {
      code: "shape",
    });
  const wanted = wantedOf(samples.classes, dataset, parts);
  const scores = createScores();
  let unknown = 0;
  for (let first = 0; first < samples.count; first += SHARD_SIZE) {
    signal.throwIfAborted();
    const { images, labels } = await samples.read(first, Math.min(SHARD_SIZE, samples.count - first));
    const asked = Array.from(labels, (label) => wanted[label]);
    const ranks = await classifier.ranks(images, asked.map((each) => each?.labels ?? {})); // biome-ignore format: one line
    for (const [i, own] of ranks.entries()) {
      const each = asked[i];
      if (each) scores.add(each.familiarity, own);
      else unknown++;
    }
  }
  if (unknown === samples.count)
    throw new TensorARError(
      `none of what the samples were asked for (${samples.classes.slice(0, 3).join(", ")}, …) is a class or caption of the data set; give the one that the model was trained on`,
    );
  return { ...scores.row(), ...(unknown > 0 && { unknownImages: unknown }) };
}

function wantedOf(
  asked: readonly string[],
  dataset: Dataset,
  parts: ClassifierRunner["config"]["parts"],
): (Wanted | undefined)[] {
  const classes = new Set(dataset.classes);
  const ofCaption = new Map<string, number[]>();
  for (const [image, captions] of dataset.allCaptions.entries())
    for (const caption of captions) {
      const images = ofCaption.get(caption);
      if (images) images.push(image);
      else ofCaption.set(caption, [image]);
    }
  const labels = datasetLabels(dataset, parts);
  const splitOf = new Map<number, Familiarity>();
  for (const split of SPLITS) for (const image of dataset[split]) splitOf.set(image, FAMILIARITY[split]);
  return asked.map((text): Wanted | undefined => {
    if (classes.has(text)) return { labels: labelsOfClass(text, parts), familiarity: "seen" };
    const images = ofCaption.get(text);
    if (!images) return undefined;
    const familiarities = new Set(images.map((image) => splitOf.get(image)!));
    const [familiarity] = (["seen", "heldOut", "unseen"] as const).filter((each) => familiarities.has(each));
    const common = parts.flatMap(({ name }): [string, string][] => {
      const values = new Set(images.map((image) => labels[image]![name]));
      const [value] = values;
      return values.size === 1 && value !== undefined ? [[name, value]] : [];
    });
    return { labels: Object.fromEntries(common), familiarity: familiarity! };
  });
}
