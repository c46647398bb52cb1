import type { Attribution, ImageSource, SourceEntry } from "@tensorar/data";
import { byName } from "@tensorar/data";
import { type Icon, readIconSet, svgOf } from "./icon-sets";
import { splitOfName } from "./name-split";

/** The icon sets drawn, by the name of their style. */
const STYLES = {
  noto: "@iconify-json/noto",
  fluent: "@iconify-json/fluent-emoji-flat",
  twemoji: "@iconify-json/twemoji",
} as const;

/** A category with fewer icons than this is no class of its own: it joins its style's "symbols". */
const SMALLEST_CLASS = 50;
const SMALL_CATEGORIES_JOIN = "Symbols";

/** Of people and hands only the yellow drawing is taken; their five skin tones would be more than half of all images. */
const SKIN_TONE = /-(light|medium|dark)(-|$)/;
const CATEGORY_WITH_SKIN_TONES = "People & Body";

interface Style {
  readonly name: string;
  readonly attribution: Attribution;
  /** Icons by class, "noto/food-drink". */
  readonly classes: ReadonlyMap<string, readonly Icon[]>;
}

/**
 * Emoji of three icon sets (Noto, Fluent Emoji Flat, Twemoji), drawn from SVG on white at the size asked for.
 * A class is a style and a category, `noto/animals-nature`; captions read "noto emoji: grinning face".
 * All styles of a name are for training, for validation or for the test.
 * Left out: icons without a category (superseded names), skin-tone variants, and second names of the same drawing.
 *
 * @param heldOutShare of the names, in (0, 1): half for validation, half for the test
 */
export async function emojiSource(heldOutShare: number): Promise<ImageSource> {
  const styles = await Promise.all(Object.entries(STYLES).map(([name, packageName]) => readStyle(name, packageName)));
  const classes = styles.flatMap((style) => [...style.classes.keys()].sort(byName));
  const drawings = styles.flatMap((style) =>
    [...style.classes].flatMap(([className, icons]) => icons.map((icon) => ({ style: style.name, className, icon }))),
  );
  return {
    name: "emoji",
    classes,
    attribution: styles.map((style) => style.attribution),
    total: drawings.length,
    entries: (size) =>
      drawings.map(
        ({ style, className, icon }): SourceEntry => ({
          name: `${style}/${icon.name}`,
          where: `${STYLES[style as keyof typeof STYLES]}/icons.json: ${icon.name}`,
          label: classes.indexOf(className),
          caption: `${style} emoji: ${icon.name.replaceAll("-", " ")}`,
          split: splitOfName(icon.name, heldOutShare),
          drawn: true,
          load: async () => svgOf(icon, size),
        }),
      ),
    leftOut: () => [],
  };
}

async function readStyle(name: string, packageName: string): Promise<Style> {
  const { attribution, icons } = await readIconSet(packageName);
  const drawn = new Set<string>();
  const byCategory = new Map<string, Icon[]>();
  for (const icon of icons) {
    const { category, body } = icon;
    if (drawn.has(body) || (category === CATEGORY_WITH_SKIN_TONES && SKIN_TONE.test(icon.name))) continue;
    drawn.add(body);
    byCategory.set(category, [...(byCategory.get(category) ?? []), icon]);
  }
  const classes = new Map<string, Icon[]>();
  for (const [category, own] of byCategory) {
    const className = `${name}/${slug(own.length < SMALLEST_CLASS ? SMALL_CATEGORIES_JOIN : category)}`;
    classes.set(className, [...(classes.get(className) ?? []), ...own]);
  }
  return { name, attribution, classes };
}

const slug = (category: string): string => category.toLowerCase().replace(/[^a-z]+/g, "-");
