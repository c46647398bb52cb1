import { hashPosition, type ImageSource, type SourceEntry, type Split } from "@tensorar/data";
import { emojiCaptions } from "./emoji-captions";
import { type Icon, readIconSet, svgOf } from "./icon-sets";
import { splitOfName } from "./name-split";

/** The icon sets drawn, by the word for their style. Noto's first edition is known for its blobs. */
const STYLES = {
  noto: "@iconify-json/noto",
  blob: "@iconify-json/noto-v1",
  fluent: "@iconify-json/fluent-emoji-flat",
  twemoji: "@iconify-json/twemoji",
  openmoji: "@iconify-json/openmoji",
  emojione: "@iconify-json/emojione",
} as const;

/** Words for the sets' categories; those that are not here hold logos and the like, and are left out. */
const GROUPS: Readonly<Record<string, string>> = {
  Activities: "activity",
  "Animals & Nature": "nature",
  "Animals Nature": "nature",
  Nature: "nature",
  Flags: "flag",
  Food: "food",
  "Food & Drink": "food",
  "Food Drink": "food",
  Objects: "object",
  People: "people",
  "People & Body": "people",
  "People Body": "people",
  "Smileys & Emotion": "face",
  "Smileys Emotion": "face",
  Symbols: "symbol",
  Travel: "travel",
  "Travel & Places": "travel",
  "Travel Places": "travel",
};

/** Fraction of the pairs of a style and a name that this style never shows, though others do. */
const COMBINATIONS_SHARE = 0.05;
/** A name that is shown by fewer other styles than this is not held out from one. */
const SHOWN_BY = 2;

const PEOPLE = GROUPS.People!;
const TONE = /-(medium-light|medium-dark|light|medium|dark)-skin-tone/g;

interface Drawing {
  readonly style: keyof typeof STYLES;
  readonly icon: Icon;
  readonly group: string;
  /** Canonical name with its skin tone, if any: the same in all sets. */
  readonly name: string;
  /** Without its tone. */
  readonly plain: string;
}

/**
 * Emoji of six icon sets with captions in several wordings ("a noto red heart", "waving hand light skin tone in blob style"),
 * drawn from SVG on white at the size asked for. A class is a style and a group, `noto/food`.
 *
 * Split by icon name, so that styles and skin tones of one icon stay together: half of the held-out names are for validation,
 * half for the test. Besides, one in twenty pairs of a style and a name is a combination that is never trained on, while other
 * styles show this name.
 *
 * Left out: icons without a category or in one of logos, pictures of people of different tones, and second names of a drawing.
 *
 * @param heldOutFraction of the names, in (0, 1)
 */
export async function emojiTextSource(heldOutFraction: number): Promise<ImageSource> {
  const styles = Object.keys(STYLES) as (keyof typeof STYLES)[];
  const sets = await Promise.all(styles.map((style) => readIconSet(STYLES[style])));
  const drawings = withOneGroup(styles.flatMap((style, i) => drawingsOf(style, sets[i]!.icons)));
  const classes = [...new Set(drawings.map(classOf))];
  const splits = splitsOf(drawings, heldOutFraction);
  return {
    name: "emoji-text",
    classes,
    attribution: sets.map(({ attribution }) => attribution),
    total: drawings.length,
    entries: (size) =>
      drawings.map((drawing, i): SourceEntry => {
        const { style, name, group, icon } = drawing;
        const [caption, ...otherCaptions] = emojiCaptions({ style, name: name.replaceAll("-", " "), group });
        return {
          name: `${style}/${name}`,
          where: `${STYLES[style]}/icons.json: ${icon.name}`,
          label: classes.indexOf(classOf(drawing)),
          caption: caption!,
          otherCaptions,
          split: splits[i]!,
          drawn: true,
          load: async () => svgOf(icon, size),
        };
      }),
    leftOut: () => [],
  };
}

const classOf = ({ style, group }: Drawing): string => `${style}/${group}`;

/** Drawings of a set, each once. */
function drawingsOf(style: keyof typeof STYLES, icons: readonly Icon[]): Drawing[] {
  const [bodies, names] = [new Set<string>(), new Set<string>()];
  return icons.flatMap((icon): Drawing[] => {
    const group = GROUPS[icon.category];
    if (group === undefined || bodies.has(icon.body)) return [];
    bodies.add(icon.body);
    const { name, plain, tones } = canonical(style, group, icon.name);
    if (tones > 1 || names.has(name)) return [];
    names.add(name);
    return [{ style, icon, group, name, plain }];
  });
}

/** The sets' own names differ in the names of flags, and in how they say a skin tone. */
function canonical(style: string, group: string, iconName: string) {
  const flag = iconName.replace(/^flag-for-(flag-)?/, "flag-");
  // Fluent: "waving-hand-medium-dark".
  const full =
    style === "fluent" && group === PEOPLE
      ? flag.replace(/-(medium-light|medium-dark|light|medium|dark)$/, "$&-skin-tone")
      : flag;
  const tones = full.match(TONE) ?? [];
  const plain = full.replace(TONE, "");
  return { plain, tones: tones.length, name: `${plain}${tones[0] ?? ""}` };
}

/** The sets sort icons differently: what the first of them says of a name holds for all. */
function withOneGroup(drawings: readonly Drawing[]): Drawing[] {
  const groups = new Map<string, string>();
  for (const { plain, group } of drawings) if (!groups.has(plain)) groups.set(plain, group);
  return drawings.map((drawing) => ({ ...drawing, group: groups.get(drawing.plain)! }));
}

function splitsOf(drawings: readonly Drawing[], heldOutFraction: number): Split[] {
  const chosen = ({ style, plain }: Drawing) => hashPosition(`${style}/${plain}`) < COMBINATIONS_SHARE;
  const shownBy = new Map<string, Set<string>>();
  for (const drawing of drawings) {
    const styles = shownBy.get(drawing.plain) ?? new Set();
    if (!chosen(drawing)) shownBy.set(drawing.plain, styles.add(drawing.style));
  }
  return drawings.map((drawing): Split => {
    const split = splitOfName(drawing.plain, heldOutFraction);
    const others = shownBy.get(drawing.plain)?.size ?? 0;
    return split === "train" && chosen(drawing) && others >= SHOWN_BY ? "combinations" : split;
  });
}
