import { TensorARError } from "@tensorar/core";
import { hashPosition } from "../dataset/split";
import type { ImageSource, SourceEntry } from "./source";

/**
 * A source with test images of their own, as published data sets have them. The others are for training or, by a hash of their names,
 * for validation; of very few images all may be for training.
 *
 * @param validationFraction of the images of `source`, in (0, 1)
 * @throws TensorARError when the test images show a class that the others don't have
 */
export function withTest(source: ImageSource, test: ImageSource, validationFraction: number): ImageSource {
  const labelOf = sharedLabels(source, test);
  return {
    ...source,
    attribution: [
      ...source.attribution,
      ...test.attribution.filter(({ url }) => !source.attribution.some((own) => own.url === url)),
    ],
    ...(source.total !== undefined && test.total !== undefined && { total: source.total + test.total }),
    async *entries(size): AsyncGenerator<SourceEntry> {
      for await (const entry of source.entries(size))
        yield { ...entry, split: hashPosition(entry.name) < validationFraction ? "validation" : "train" };
      for await (const entry of test.entries(size))
        yield { ...entry, name: `test/${entry.name}`, label: labelOf(entry), split: "test" };
    },
    leftOut: () => [...source.leftOut(), ...test.leftOut()],
  };
}

/** What the first source calls the class of an entry of the second; numbers where neither has names. */
function sharedLabels(source: ImageSource, test: ImageSource): (entry: SourceEntry) => number {
  if (!test.classes || !source.classes) return ({ label }) => label;
  const known = new Map(source.classes.map((name, label) => [name, label]));
  return ({ label, where }) => {
    const name = test.classes![label]!;
    const own = known.get(name);
    if (own !== undefined) return own;
    throw new TensorARError(
      `${where}: class "${name}" of the test images is none of ${source.name}; give images of the same classes`,
    );
  };
}
