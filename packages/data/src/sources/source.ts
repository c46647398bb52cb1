import type { Split } from "../dataset/split";
import type { DecodeImageOptions } from "../files/decode-image";
import type { LeftOut } from "../files/left-out";

/** Whom a picture is to be credited to; copied into every prepared data set. */
export interface Attribution {
  readonly title: string;
  readonly author: string;
  readonly url: string;
  /** SPDX name of the licence. */
  readonly license: string;
  readonly licenseUrl: string;
}

/** One image of a source, not yet decoded. */
export interface SourceEntry extends Pick<DecodeImageOptions, "drawn"> {
  /** Unique in the source and stable: it decides between training and validation. */
  readonly name: string;
  /** What an error message calls it: a path that the user can open. */
  readonly where: string;
  readonly label: number;
  readonly caption?: string;
  /** More ways to say the same. */
  readonly otherCaptions?: readonly string[];
  /** What the image is for, where the source chooses: then it does for all. Absent: the hash of its name chooses. */
  readonly split?: Split;
  /** The encoded image. */
  load(): Promise<Uint8Array>;
}

/** Images with classes, wherever they come from. */
export interface ImageSource {
  readonly name: string;
  /** Class names by label. Absent: classes are the numbers from 0 to the largest label met. */
  readonly classes?: readonly string[];
  readonly attribution: readonly Attribution[];
  /** Number of entries, where it is known before reading them. */
  readonly total?: number;
  /** Square size in pixels matters only to drawn images. */
  entries(size: number): AsyncIterable<SourceEntry> | Iterable<SourceEntry>;
  /** What was no entry, and why; complete when all entries were read. */
  leftOut(): readonly LeftOut[];
}
