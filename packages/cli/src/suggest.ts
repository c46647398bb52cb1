import { distance } from "fastest-levenshtein";
import { OTHER_NAMES } from "./other-names";

/**
 * The known name that someone meant: the same one written otherwise (`batch_size`, `batchSize`), what it is called here
 * (`cfg-scale` → `scale`), or the nearest by letters. Undefined where none is near.
 */
export function suggestion(written: string, known: readonly string[]): string | undefined {
  const word = plain(written);
  const same = known.find((name) => squeezed(name) === squeezed(word));
  const translated = OTHER_NAMES[word]?.find((name) => known.includes(name));
  if (same !== undefined || translated !== undefined) return same ?? translated;
  const near = known.map((name) => ({ name, far: distance(word, name) })).sort((a, b) => a.far - b.far)[0];
  return near && near.far <= tolerated(Math.min(word.length, near.name.length)) ? near.name : undefined;
}

/** Letters that may differ; two that changed places are two. */
const tolerated = (length: number): number => (length <= 3 ? 1 : Math.max(2, Math.floor(length / 3)));

/** ` (did you mean --scale?)`, or nothing. */
export function didYouMean(written: string, known: readonly string[], write = (name: string) => name): string {
  const meant = suggestion(written, known);
  return meant === undefined ? "" : `; did you mean ${write(meant)}?`;
}

const plain = (name: string): string =>
  name
    .replace(/^-+/, "")
    .replace(/([a-z])([A-Z])/g, "$1-$2")
    .replaceAll("_", "-")
    .toLowerCase();

const squeezed = (name: string): string => name.replaceAll("-", "").toLowerCase();
