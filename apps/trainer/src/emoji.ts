import { createRequire } from "node:module";
import { readChecked } from "@tensorar/core/node";
import type { Attribution, ImageSource, SourceEntry } from "@tensorar/data";
import { byName } from "@tensorar/data";
import { z } from "zod";

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

const icon = z.object({ body: z.string(), width: z.number().optional(), height: z.number().optional() });
const iconSet = z.object({ icons: z.record(z.string(), icon), width: z.number(), height: z.number() });
const metadata = z.object({ categories: z.record(z.string(), z.array(z.string())) });
const about = z.object({
  name: z.string(),
  author: z.object({ name: z.string(), url: z.string() }),
  license: z.object({ spdx: z.string(), url: z.string() }),
});

interface Icon {
  readonly name: string;
  readonly body: string;
  readonly width: number;
  readonly height: number;
}

interface Style {
  readonly name: string;
  readonly attribution: Attribution;
  /** Icons by class, "noto/food-drink". */
  readonly classes: ReadonlyMap<string, readonly Icon[]>;
}

/**
 * Emoji of three icon sets (Noto, Fluent Emoji Flat, Twemoji), drawn from SVG on white at the size asked for.
 * A class is a style and a category, `noto/animals-nature`; captions read "noto emoji: grinning face".
 * Left out: icons without a category (superseded names), skin-tone variants, and second names of the same drawing.
 */
export async function emojiSource(): Promise<ImageSource> {
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
          drawn: true,
          load: async () => Buffer.from(svg(icon, size)),
        }),
      ),
    leftOut: () => [],
  };
}

async function readStyle(name: string, packageName: string): Promise<Style> {
  const require = createRequire(import.meta.url);
  const read = <Schema extends z.ZodType>(file: string, schema: Schema) =>
    readChecked(require.resolve(`${packageName}/${file}`), schema, `a file of the package ${packageName}`);
  const [set, { categories }, info] = await Promise.all([
    read("icons.json", iconSet),
    read("metadata.json", metadata),
    read("info.json", about),
  ]);
  const drawn = new Set<string>();
  const classes = new Map<string, Icon[]>();
  for (const [category, names] of Object.entries(categories)) {
    const icons: Icon[] = [];
    for (const iconName of names) {
      const { body, width = set.width, height = set.height } = set.icons[iconName]!;
      if (drawn.has(body) || (category === CATEGORY_WITH_SKIN_TONES && SKIN_TONE.test(iconName))) continue;
      drawn.add(body);
      icons.push({ name: iconName, body, width, height });
    }
    const className = `${name}/${slug(icons.length < SMALLEST_CLASS ? SMALL_CATEGORIES_JOIN : category)}`;
    classes.set(className, [...(classes.get(className) ?? []), ...icons]);
  }
  const { author, license } = info;
  return {
    name,
    attribution: {
      title: info.name,
      author: author.name,
      url: author.url,
      license: license.spdx,
      licenseUrl: license.url,
    },
    classes,
  };
}

const slug = (category: string): string => category.toLowerCase().replace(/[^a-z]+/g, "-");

/** The icon as a square picture; one that is not square is centred, which is what SVG does with a `viewBox`. */
const svg = ({ body, width, height }: Icon, size: number): string =>
  `<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="${size}" height="${size}" viewBox="0 0 ${width} ${height}">${body}</svg>`;
