import { createRequire } from "node:module";
import sharp from "sharp";

/** A text as grey pixels, black on white. */
export interface TextPicture {
  readonly width: number;
  readonly height: number;
  /** [height, width] */
  readonly pixels: Uint8Array;
}

/** Lines that a text takes at most. */
const MOST_LINES = 3;
/** Letters that so many lines hold at most. */
const MOST_LETTERS = 400;
/** Height of letters in pixels. */
const SIZE = 11;
const ELLIPSIS = "…";

/** Ships with this package, for machines without fonts. Letters that it lacks are of the system's fonts. */
const FONT_FILE = createRequire(import.meta.url).resolve("dejavu-fonts-ttf/ttf/DejaVuSans.ttf");

/**
 * Draws a text, wrapped to a width; one of more than three lines is cut, and ends in an ellipsis. Line breaks and control
 * characters count as blanks.
 *
 * @param width in pixels
 * @returns undefined for a text without anything to see
 */
export async function drawText(text: string, width: number): Promise<TextPicture | undefined> {
  const line = text.replace(/[\p{Cc}\s]+/gu, " ").trim();
  if (line === "") return undefined;
  const { height: most } = await draw(Array(MOST_LINES).fill("Åg").join("\n"), width);
  const letters = [...new Intl.Segmenter().segment(line)].map(({ segment }) => segment);
  const cut = (kept: number) =>
    draw(kept === letters.length ? line : letters.slice(0, kept).join("").trimEnd() + ELLIPSIS, width);
  if (letters.length <= MOST_LETTERS) {
    const whole = await cut(letters.length);
    if (whole.height <= most) return whole;
  }
  let [fitting, tooMany] = [0, Math.min(letters.length, MOST_LETTERS)];
  let picture = await draw(ELLIPSIS, width);
  while (tooMany - fitting > 1) {
    const kept = (fitting + tooMany) >> 1;
    const tried = await cut(kept);
    if (tried.height > most) {
      tooMany = kept;
    } else {
      fitting = kept;
      picture = tried;
    }
  }
  return picture;
}

async function draw(text: string, width: number): Promise<TextPicture> {
  const markup = text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
  const font = { font: `DejaVu Sans ${SIZE}`, fontfile: FONT_FILE, dpi: 72 };
  const { data, info } = await sharp({ text: { text: markup, ...font, width, wrap: "word-char" } })
    .negate()
    .extractChannel(0)
    .raw()
    .toBuffer({ resolveWithObject: true });
  return { width: info.width, height: info.height, pixels: data };
}
