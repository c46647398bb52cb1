import type { Dataset } from "@tensorar/data";
import type { Part } from "./network";

/** What is known of an image, by part. Absent where it is not known, or nothing the classifier has seen. */
export type Labels = Readonly<Record<string, string | undefined>>;

/** Skin tones, which are no part of an icon's name. */
const TONE = /-(medium-light|medium-dark|light|medium|dark)-skin-tone$/;

/** What a class says: style and object of one such as `noto/food`, or itself. */
export function labelsOfClass(name: string, parts: readonly Pick<Part, "name">[]): Labels {
  const [style, object, ...more] = name.split("/");
  const isPair = parts.some((part) => part.name === "style");
  if (!isPair) return { class: name };
  return more.length === 0 && object !== undefined ? { style, object } : {};
}

/** Of every image: what its class says, and the name of what it shows where images have captions. */
export function datasetLabels(
  { classes, labels, names, captions }: Dataset,
  parts: readonly Pick<Part, "name">[],
): Labels[] {
  const hasNames = parts.some((part) => part.name === "name");
  return Array.from(labels, (label, image) => ({
    ...labelsOfClass(classes[label]!, parts),
    ...(hasNames && captions[image] !== "" && { name: iconName(names[image]!) }),
  }));
}

const iconName = (name: string): string => name.slice(name.indexOf("/") + 1).replace(TONE, "");

/**
 * The parts that a classifier of a data set learns: style and object where all classes are such as `noto/food`, else the class; and
 * names, where images have captions and held-out ones show names that are trained on. Values are those of the training images.
 */
export function partsOf(dataset: Dataset): Part[] {
  const isPair = dataset.classes.every((name) => name.split("/").length === 2);
  const hasNames = isPair && sharesNames(dataset);
  const names = [...(isPair ? ["style", "object"] : ["class"]), ...(hasNames ? ["name"] : [])];
  const labels = datasetLabels(dataset, names.map((name) => ({ name }))); // biome-ignore format: one line
  return names.map((name) => ({
    name,
    values: [...new Set(Array.from(dataset.train).flatMap((image) => labels[image]![name] ?? []))].sort(),
  }));
}

/** Whether a held-out image with a caption shows what a training image shows too. */
function sharesNames(dataset: Dataset): boolean {
  const { train, validation, test, combinations, names, captions } = dataset;
  const trained = new Set(Array.from(train, (image) => iconName(names[image]!)));
  return [validation, test, combinations].some((split) =>
    split.some((image) => captions[image] !== "" && trained.has(iconName(names[image]!))),
  );
}
