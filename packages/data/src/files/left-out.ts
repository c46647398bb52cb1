import { z } from "zod";

/** Files that were not taken, for one reason, and the first of them. */
export const leftOutSchema = z.strictObject({ reason: z.string(), count: z.int().positive(), first: z.string() });

/** How many files were left out, by reason. */
export type LeftOut = Readonly<z.infer<typeof leftOutSchema>>;

/** What became of a set of images: goes into every JSON of results. */
export interface ImageCounts {
  readonly taken: number;
  readonly leftOut: readonly LeftOut[];
}

/** Counts what is left out, by reason. */
export interface Tally {
  add(reason: string, file: string): void;
  /** Adds what was counted elsewhere. */
  merge(counted: readonly LeftOut[]): void;
  list(): LeftOut[];
}

/** Counts what is left out, by reason. */
export function createTally(): Tally {
  const reasons = new Map<string, { readonly count: number; readonly first: string }>();
  const count = (reason: string, more: number, file: string) => {
    const { count = 0, first = file } = reasons.get(reason) ?? {};
    reasons.set(reason, { count: count + more, first });
  };
  return {
    add: (reason, file) => count(reason, 1, file),
    merge(counted) {
      for (const { reason, count: more, first } of counted) count(reason, more, first);
    },
    list: () => Array.from(reasons, ([reason, found]) => ({ reason, ...found })),
  };
}

/** Reasons that more than one reader gives. */
export const HIDDEN = "hidden or of the system";
export const NOT_NAMED = "not named as an image";
export const NO_TEXT_NAME = "name is not UTF-8";
/** The reason of images that can't be read. */
export const UNREADABLE = "not a readable image";

/** `12 images; left out 3 files: hidden or of the system (2, first ._0.png), not a readable image (1, 7.png)` */
export const describeCounts = ({ taken, leftOut }: ImageCounts): string => `${taken} images${describeLeftOut(leftOut)}`;

/** The part after the number of images; empty where nothing was left out. */
export function describeLeftOut(leftOut: readonly LeftOut[]): string {
  if (leftOut.length === 0) return "";
  const total = leftOut.reduce((sum, { count }) => sum + count, 0);
  const reasons = leftOut.map(
    ({ reason, count, first }) => `${reason} (${count}, ${count > 1 ? "first " : ""}${first})`,
  );
  return `; left out ${total} ${total === 1 ? "file" : "files"}: ${reasons.join(", ")}`;
}
