import { decodeHTML } from "entities";

/** Names of ligatures that Latin letters are printed with. */
const LIGATURES: Readonly<Record<string, string>> = {
  ﬀ: "ff",
  ﬁ: "fi",
  ﬂ: "fl",
  ﬃ: "ffi",
  ﬄ: "ffl",
  ﬅ: "ſt",
  ﬆ: "st",
  Ĳ: "IJ",
  ĳ: "ij",
  ŉ: "ʼn",
  Ǆ: "DŽ",
  ǅ: "Dž",
  ǆ: "dž",
  Ǉ: "LJ",
  ǈ: "Lj",
  ǉ: "lj",
  Ǌ: "NJ",
  ǋ: "Nj",
  ǌ: "nj",
  Ǳ: "DZ",
  ǲ: "Dz",
  ǳ: "dz",
};
const LIGATURE = new RegExp(`[${Object.keys(LIGATURES).join("")}]`, "gu");

const FULL_WIDTH = /[\u3000\uff01-\uff60\uff61-\uffef]/gu;
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const TERMINAL_ESCAPE = /\u001b\[(?:\d|;)*[A-Za-z]/g;
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is removed
const CONTROL = /[\u0000-\u0008\u000b\u000e-\u001f\u007f\u206a-\u206f\ufeff\ufff9-\ufffc]/g;

/**
 * What ftfy's `fix_text` makes of texts that were decoded rightly: HTML entities, terminal escapes, ligatures, full-width
 * letters, curly quotes, line breaks and control characters, then NFC. Texts that were decoded wrongly ("Ã©" for "é") are
 * left as they are: LlamaGen lower-cases captions before, after which they can't be repaired anyway.
 *
 * Source: the documentation of ftfy 6.
 */
export function fixText(text: string): string {
  const unescaped = text.includes("<") ? text : decodeHTML(text);
  return unescaped
    .replace(TERMINAL_ESCAPE, "")
    .replace(LIGATURE, (letter) => LIGATURES[letter]!)
    .replace(FULL_WIDTH, (letter) => letter.normalize("NFKC"))
    .replace(/[\u02bc\u2018-\u201b]/g, "'")
    .replace(/[\u201c-\u201f]/g, '"')
    .replace(/\r\n|[\r\u2028\u2029\u0085]/g, "\n")
    .replace(CONTROL, "")
    .normalize("NFC");
}
