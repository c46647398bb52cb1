import { type Dataset, datasetImages, type ImageStream, type Split } from "@tensorar/data";
import { memorisedFraction } from "@tensorar/metrics";
import type { Engine } from "@tensorar/training";
import { rowProducts } from "../statistics/compare";
import { compareFeatures, type Distances, featuresOf } from "../statistics/features";
import type { ClassifierRunner } from "./classifier-runner";

/** How far generated images are from held-out ones, and how many are copies of training images. */
export interface HeldOutDistances extends Distances {
  /** Fraction of the images nearer to a training image than all but 1 % of the held-out ones are. */
  readonly memorised: number;
}

/** Compares images with those of a split of a data set, whose features are worked out once. */
export interface HeldOutComparison {
  /** @param name what an error calls the images. @throws the reason of `signal` when it aborts; TensorARError for images of another size */
  compare(name: string, images: ImageStream, signal: AbortSignal): Promise<HeldOutDistances>;
}

/** @param split of images that neither the model nor the classifier was trained on. @throws the reason of `signal` when it aborts */
export async function heldOutComparison(
  classifier: ClassifierRunner,
  dataset: Dataset,
  split: Split,
  engine: Engine,
  signal: AbortSignal,
): Promise<HeldOutComparison> {
  const features = (name: string, images: ImageStream, until: AbortSignal) =>
    featuresOf(name, images, classifier, classifier.config.imageSize, until);
  const ofSplit = (each: Split) => features(dataset.info.name, datasetImages(dataset, dataset[each]), signal);
  const [training, heldOut] = [await ofSplit("train"), await ofSplit(split)];
  return {
    async compare(name, images, until) {
      const fake = await features(name, images, until);
      const distances = await compareFeatures(fake, heldOut, engine, until);
      const products = await rowProducts(engine, fake.dims, until);
      try {
        const memorised = await memorisedFraction({ fake, training, heldOut }, { products: products.run });
        return { ...distances, memorised };
      } finally {
        await products.dispose();
      }
    },
  };
}
