import { createRequire } from "node:module";
import { readChecked } from "@tensorar/core/node";
import type { Attribution } from "@tensorar/data";
import { z } from "zod";

const icon = z.object({ body: z.string(), width: z.number().optional(), height: z.number().optional() });
const iconSet = z.object({ icons: z.record(z.string(), icon), width: z.number(), height: z.number() });
const metadata = z.object({ categories: z.record(z.string(), z.array(z.string())) });
const about = z.object({
  name: z.string(),
  author: z.object({ name: z.string(), url: z.string() }),
  license: z.object({ spdx: z.string(), url: z.string() }),
});

/** A drawing of an icon set. */
export interface Icon {
  readonly name: string;
  /** As the set names it, "Food & Drink". */
  readonly category: string;
  readonly body: string;
  readonly width: number;
  readonly height: number;
}

/** An icon set of Iconify, as an npm package holds it. */
export interface IconSet {
  readonly attribution: Attribution;
  /** In the order of the categories. Those without a category (superseded names) are left out. */
  readonly icons: readonly Icon[];
}

/** @param packageName installed beside this package, "@iconify-json/noto" */
export async function readIconSet(packageName: string): Promise<IconSet> {
  const require = createRequire(import.meta.url);
  const read = <Schema extends z.ZodType>(file: string, schema: Schema) =>
    readChecked(require.resolve(`${packageName}/${file}`), schema, `a file of the package ${packageName}`);
  const [set, { categories }, info] = await Promise.all([
    read("icons.json", iconSet),
    read("metadata.json", metadata),
    read("info.json", about),
  ]);
  const icons = Object.entries(categories).flatMap(([category, names]) =>
    names.map((name): Icon => {
      const { body, width = set.width, height = set.height } = set.icons[name]!;
      return { name, category, body, width, height };
    }),
  );
  const { author, license } = info;
  return {
    attribution: {
      title: info.name,
      author: author.name,
      url: author.url,
      license: license.spdx,
      licenseUrl: license.url,
    },
    icons,
  };
}

/** The icon as a square picture; one that is not square is centred, which is what SVG does with a `viewBox`. */
export const svgOf = ({ body, width, height }: Icon, size: number): Buffer =>
  Buffer.from(
    `<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="${size}" height="${size}" viewBox="0 0 ${width} ${height}">${body}</svg>`,
  );
