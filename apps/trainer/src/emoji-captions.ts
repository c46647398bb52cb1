/** What is known of an emoji. */
export interface EmojiWords {
  /** The style's name, "noto". */
  readonly style: string;
  /** Words of the icon's own name, "red heart", a skin tone among them: "waving hand medium dark skin tone". */
  readonly name: string;
  /** What it belongs to, "nature". */
  readonly group: string;
}

const COLOURS = ["red", "orange", "yellow", "green", "blue", "purple", "brown", "black", "white", "pink", "grey"];

const article = (words: string): string => (/^[aeio]/.test(words) ? `an ${words}` : `a ${words}`);

/**
 * Captions that say the same in several ways; the last ones say less: style, group, and colour where the name has one.
 * The first is the plainest: "a noto red heart".
 */
export function emojiCaptions({ style, name, group }: EmojiWords): string[] {
  const colour = name.split(" ").find((word) => COLOURS.includes(word));
  return [
    article(`${style} ${name}`),
    `${style} ${name}`,
    `${name} in ${style} style`,
    `${article(`${style} emoji`)} of ${article(name)}`,
    `${style} ${group}: ${name}`,
    ...(colour === undefined ? [] : [article(`${colour} ${style} ${group} emoji`)]),
    article(`${style} ${group} emoji`),
  ];
}
