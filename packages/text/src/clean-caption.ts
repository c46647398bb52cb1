import { decodeHTML } from "entities";
import { Parser } from "htmlparser2";
import { fixText } from "./fix-text";

/**
 * A caption as LlamaGen's text-conditional models saw it in training: lower case, without links, names of files and users,
 * article numbers, Chinese characters, and most punctuation. Applied twice, as there.
 *
 * Source: `language/t5.py` of FoundationVision/LlamaGen, `text_preprocessing`, after DeepFloyd IF. Differs: text that was decoded
 * wrongly is not repaired (see {@link fixText}), and only the first 4,096 characters are read: models keep 120 tokens, and some of
 * the rules take the square of the length.
 */
export const cleanCaption = (caption: string): string => cleanOnce(cleanOnce(caption.slice(0, MOST_CHARACTERS)));

const MOST_CHARACTERS = 4096;

type Rule = readonly [pattern: RegExp, replacement: string];

/**
 * A pattern of Python's `re` on texts: there `\w`, `\d`, `\s` and `\b` mean the letters, digits and spaces of all languages.
 * `\w` and `\s` may also stand inside of brackets.
 */
function python(pattern: string): RegExp {
  const [word, space] = ["\\p{L}\\p{N}_", "\\s\\u001c-\\u001f\\u0085"];
  const boundary = `(?:(?<=[${word}])(?![${word}])|(?<![${word}])(?=[${word}]))`;
  const source = pattern.replace(/\[[^\]]*\]|\\[wsdbD]/g, (part) => {
    if (part.startsWith("["))
      return part
        .replaceAll("\\w", word)
        .replaceAll("\\d", "\\p{Nd}")
        .replaceAll("\\s", space)
        .replaceAll("\\W", `\\P{L}`);
    return { "\\w": `[${word}]`, "\\s": `[${space}]`, "\\d": "\\p{Nd}", "\\D": "\\P{Nd}", "\\b": boundary }[part]!;
  });
  return new RegExp(source, "gu");
}

const rule = (pattern: string, replacement: string): Rule => [python(pattern), replacement];

const DOMAIN = String.raw`[a-zA-Z0-9.\-]+[.](?:com|co|ru|net|org|edu|gov|it)[\w\/\-]*\b\/?(?!@)`;
const FILE_TYPES = "(?:png|jpg|jpeg|bmp|webp|eps|pdf|apk|mp4)";

const LINKS: readonly Rule[] = [
  rule("<person>", "person"),
  rule(String.raw`\b(?:https?:(?:\/{1,3}|[a-zA-Z0-9%])|${DOMAIN})`, ""),
  rule(String.raw`\b(?:www:(?:\/{1,3}|[a-zA-Z0-9%])|${DOMAIN})`, ""),
];

const PUNCTUATION: readonly Rule[] = [
  rule(String.raw`@\w+\b`, ""),
  [/[\u31c0-\u31ef\u31f0-\u31ff\u3200-\u4dff\u4e00-\u9fff]+/gu, ""], // Chinese and Japanese strokes, symbols and ideographs
  [
    /[\u002d\u058a\u05be\u1400\u1806\u2010-\u2015\u2e17\u2e1a\u2e3a\u2e3b\u2e40\u301c\u3030\u30a0\ufe31\ufe32\ufe58\ufe63\uff0d]+/gu,
    "-",
  ], // every kind of dash
  [/[`´«»“”¨]/gu, '"'],
  [/[‘’]/gu, "'"],
  [/&quot;?/gu, ""],
  [/&amp/gu, ""],
  rule(String.raw`\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}`, " "), // addresses of computers
  rule(String.raw`\d:\d\d\s+$`, ""),
  [/\\n/gu, " "],
  rule(String.raw`#\d{1,3}\b`, ""),
  rule(String.raw`#\d{5,}\b`, ""),
  rule(String.raw`\b\d{6,}\b`, ""),
  rule(String.raw`[^\s]+\.${FILE_TYPES}`, ""),
  [/["']{2,}/gu, '"'],
  [/[.]{2,}/gu, " "],
  [/[#®•©™&@·º½¾¿¡§~)(\][}{|\\/*]+/gu, " "],
  rule(String.raw`\s+\.\s+`, " "),
];

const NUMBERS_AND_SHOPS: readonly Rule[] = [
  rule(String.raw`\b[a-zA-Z]{1,3}\d{3,15}\b`, ""), // jc6640
  rule(String.raw`\b[a-zA-Z]+\d+[a-zA-Z]+\b`, ""), // jc6640vc
  rule(String.raw`\b\d+[a-zA-Z]+\d+\b`, ""), // 6640vc231
  rule(String.raw`(?:worldwide\s+)?(?:free\s+)?shipping`, ""),
  rule(String.raw`(?:free\s)?download(?:\sfree)?`, ""),
  rule(String.raw`\bclick\b\s(?:for|on)\s\w+`, ""),
  rule(String.raw`\b${FILE_TYPES}(?:\simages?)?`, ""),
  rule(String.raw`\bpage\s+\d+\b`, ""),
  rule(String.raw`\b\d*[a-zA-Z]+\d+[a-zA-Z]+\d+[a-zA-Z\d]*\b`, " "), // j2d1a2a
  rule(String.raw`\b\d+\.?\d*[xх×]\d+\.?\d*\b`, ""), // 10x20
  rule(String.raw`\b\s+:\s+`, ": "),
  rule(String.raw`(\D[,.\/])\b`, "$1 "),
  rule(String.raw`\s+`, " "),
];

/** At the two ends; each at most once. */
const ENDS: readonly Rule[] = [
  [/^["']([\s\S]+)["']$/u, "$1"],
  [/^['_,\-:;]/u, ""],
  [/['_,\-:+]$/u, ""],
  [/^\.\S+$/u, ""],
];

const apply = (text: string, rules: readonly Rule[]): string =>
  rules.reduce((current, [pattern, replacement]) => current.replace(pattern, replacement), text);

function cleanOnce(caption: string): string {
  const linked = apply(unquotePlus(caption).trim().toLowerCase(), LINKS);
  const plain = apply(textOfHtml(linked), PUNCTUATION);
  // this-is-my-cute-cat
  const joined = (plain.match(/[-_]/g)?.length ?? 0) > 3 ? plain.replace(/[-_]/g, " ") : plain;
  const fixed = decodeHTML(decodeHTML(fixText(joined))).trim();
  return apply(apply(fixed, NUMBERS_AND_SHOPS), ENDS).trim();
}

/** `urllib.parse.unquote_plus`: bytes of a link's text that are not UTF-8 become U+FFFD. */
function unquotePlus(text: string): string {
  return text.replaceAll("+", " ").replace(/(?:%[0-9a-fA-F]{2})+/g, (escaped) => {
    const bytes = escaped.match(/[0-9a-fA-F]{2}/g)!.map((hex) => Number.parseInt(hex, 16));
    return new TextDecoder("utf-8", { ignoreBOM: true }).decode(Uint8Array.from(bytes));
  });
}

/** Text of HTML, without tags, scripts and styles. */
function textOfHtml(html: string): string {
  let text = "";
  let hidden = 0;
  const hides = (name: string) => name === "script" || name === "style";
  const parser = new Parser({
    ontext(part) {
      if (hidden === 0) text += part;
    },
    onopentagname(name) {
      if (hides(name)) hidden++;
    },
    onclosetag(name) {
      if (hides(name)) hidden--;
    },
  });
  parser.end(html);
  return text;
}
