import { TensorARError } from "@tensorar/core";

// Those of ASCII, but for tab, line feed and carriage return, which belong to texts. A NUL is what UTF-16 without its mark
// looks like as UTF-8.
const CONTROL = /[^\P{Cc}\t\n\r\x80-\x9f]/u;

/**
 * A description of an image as it is trained on: without white space at its ends. Tabs and line breaks inside are kept.
 *
 * @param where what the error names: a file and its line, or an archive and its file
 * @throws TensorARError for any other control character
 */
export const captionOf = (text: string, where: string): string => plainText(text, where).trim();

/**
 * A text as it is.
 * @throws TensorARError for control characters, which no tokenizer knows: the text is damaged, or in another encoding
 */
export function plainText(text: string, where: string): string {
  const control = CONTROL.exec(text);
  if (control === null) return text;
  const code = control[0].charCodeAt(0).toString(16).toUpperCase().padStart(4, "0");
  throw new TensorARError(
    `${where}: a control character (U+${code}) at place ${control.index}; remove it, or save the text as UTF-8`,
  );
}
