import { TensorARError } from "@tensorar/core";
import { expectFinite, expectLength } from "../checks";
import { roundHalfToEven } from "../extractor/preprocess";
import type { FeatureSet } from "../feature-set";
import type { RgbImages } from "../images";
import type { ColorsOf, Detection } from "./score";

/** The colours that objects are sorted into; no prompt of GenEval names another. */
export const GENEVAL_COLORS = [
  ...(["red", "orange", "yellow", "green", "blue"] as const),
  ...(["purple", "pink", "brown", "black", "white"] as const),
];

/**
 * Descriptions of an object in each colour, three a colour, in the order of {@link GENEVAL_COLORS}. Source: the prompts of
 * `color_classification` of `evaluation/evaluate_images.py` of djghosh13/geneval.
 */
export const colorPrompts = (className: string): string[] =>
  GENEVAL_COLORS.flatMap((color) => [
    `a photo of a ${color} ${className}`,
    `a photo of a ${color}-colored ${className}`,
    `a photo of a ${color} object`,
  ]);

/** Embeddings of an object in each colour, [10, dims], in the order of {@link GENEVAL_COLORS}. */
export type ColorEmbeddings = (className: string) => Promise<FeatureSet>;

/**
 * Embeddings of colours from a text encoder: the mean of the three prompts' directions, as zero-shot classifiers of CLIP
 * are made. Each class is embedded once.
 *
 * @param embed embeddings of texts, one row each
 * @throws TensorARError for embeddings that are not one a text, not finite, or of length 0
 */
export function embedColors(embed: (texts: readonly string[]) => Promise<FeatureSet>): ColorEmbeddings {
  const known = new Map<string, Promise<FeatureSet>>();
  const make = async (className: string): Promise<FeatureSet> => {
    const prompts = colorPrompts(className);
    const texts = await embed(prompts);
    const { dims } = texts;
    const directions = unitRows("embedColors", "text", texts, prompts.length);
    const data = new Float64Array(GENEVAL_COLORS.length * dims);
    const each = prompts.length / GENEVAL_COLORS.length;
    for (const [i, value] of directions.entries()) {
      const at = Math.floor(i / (each * dims)) * dims + (i % dims);
      data[at] = data[at]! + value / each;
    }
    return { data, count: GENEVAL_COLORS.length, dims };
  };
  return (className) => {
    const made = known.get(className) ?? make(className);
    known.set(className, made);
    return made;
  };
}

/**
 * Names the colour of objects in an image: that of the embedding whose direction is nearest to that of the object's crop.
 * Source: `color_classification` and `ImageCrops` of djghosh13/geneval. Differs: its detector segments objects, and what is
 * in the box but not of the object is painted grey (#999) there; here the whole box is seen.
 *
 * @param image one image
 * @param extract embeddings of images, one row each, such as `extract` of `userExtractor`
 * @throws TensorARError for embeddings of another width than the colours', not finite, or of length 0
 */
export function colorClassifier(
  image: RgbImages,
  extract: (images: RgbImages) => Promise<FeatureSet>,
  colors: ColorEmbeddings,
): ColorsOf {
  return async (objects, className) => {
    const texts = await colors(className);
    const names: string[] = [];
    const directions = unitRows("colorClassifier", `"${className}"`, texts, GENEVAL_COLORS.length);
    for (const { box } of objects) {
      const features = await extract(cropImage(image, box));
      if (features.dims !== texts.dims)
        throw new TensorARError(
          `colorClassifier: image embeddings are ${features.dims} wide, those of colours ${texts.dims}; take both from one model`,
        );
      const seen = unitRows("colorClassifier", "image", features, 1);
      const similarities = GENEVAL_COLORS.map((_, row) =>
        seen.reduce((sum, value, i) => sum + value * directions[row * texts.dims + i]!, 0),
      );
      names.push(GENEVAL_COLORS[similarities.indexOf(Math.max(...similarities))]!);
    }
    return names;
  };
}

/** The part of an image inside a box, whose corners go to the nearest pixels as in Pillow's `crop`; at least one pixel. */
export function cropImage({ data, height, width }: RgbImages, box: Detection["box"]): RgbImages {
  const range = (low: number, high: number, most: number): [number, number] => {
    const begin = Math.min(Math.max(0, roundHalfToEven(low)), most - 1);
    return [begin, Math.min(Math.max(begin + 1, roundHalfToEven(high)), most)];
  };
  const [left, right] = range(box[0], box[2], width);
  const [top, bottom] = range(box[1], box[3], height);
  const row = (right - left) * 3;
  const out = new Uint8Array((bottom - top) * row);
  for (let y = top; y < bottom; y++) {
    const from = (y * width + left) * 3;
    out.set(data.subarray(from, from + row), (y - top) * row);
  }
  return { data: out, count: 1, height: bottom - top, width: right - left };
}

/** Rows of length 1. */
function unitRows(where: string, what: string, { data, count, dims }: FeatureSet, rows: number): Float64Array {
  if (count !== rows) throw new TensorARError(`${where}: ${count} ${what} embeddings for ${rows}; pass one each`);
  expectLength(where, `${what} embeddings`, data.length, { count, dims });
  expectFinite(where, `${what} embeddings`, data, dims);
  const out = Float64Array.from(data);
  for (let row = 0; row < count; row++) {
    const own = out.subarray(row * dims, (row + 1) * dims);
    const length = Math.hypot(...own);
    if (length === 0) throw new TensorARError(`${where}: ${what} embedding ${row} has length 0; check its network`);
    for (let i = 0; i < dims; i++) own[i] = own[i]! / length;
  }
  return out;
}
