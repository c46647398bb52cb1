import { readFile } from "node:fs/promises";
import { basename, dirname, extname, resolve } from "node:path";
import { TensorARError } from "@tensorar/core";
import { parse } from "csv-parse/sync";
import type { ImageSource, SourceEntry } from "./source";

/** The one class of a file without a column "class". */
const ONLY_CLASS = "image";

/**
 * A CSV file with a header and the columns `image` (a path, relative to the file), `caption` and, if wanted, `class`
 * (a name; labels follow the names in code-unit order). Further columns are ignored.
 *
 * @throws TensorARError naming file and line, when it cannot be read or parsed, or a needed column or value is missing
 */
export async function csvSource(file: string): Promise<ImageSource> {
  const rows = await readRows(file);
  const hasClass = "class" in rows[0]!.record;
  for (const { record, line } of rows) {
    for (const column of hasClass ? ["image", "class"] : ["image"]) {
      if (!record[column])
        throw new TensorARError(`${file}, line ${line}: "${column}" is empty; fill it in or remove the line`);
    }
  }
  const classes = hasClass ? [...new Set(rows.map(({ record }) => record.class!))].sort() : [ONLY_CLASS];
  const labels = new Map(classes.map((name, label) => [name, label]));
  const entries = rows.map(
    ({ record: { image = "", caption = "", class: className = ONLY_CLASS }, line }): SourceEntry => {
      const path = resolve(dirname(file), image);
      return {
        name: image,
        where: `${path} (${file}, line ${line})`,
        label: labels.get(className)!,
        caption,
        load: () => readFile(path),
      };
    },
  );
  return {
    name: basename(file, extname(file)),
    classes,
    attribution: [],
    total: entries.length,
    entries: () => entries,
  };
}

interface Row {
  readonly record: Readonly<Record<string, string>>;
  readonly line: number;
}

async function readRows(file: string): Promise<Row[]> {
  let rows: Row[];
  try {
    const parsed = parse<{ record: Record<string, string>; info: { lines: number } }>(await readFile(file), {
      bom: true,
      columns: true,
      info: true,
      skip_empty_lines: true,
      trim: true,
    } as never);
    rows = parsed.map(({ record, info }) => ({ record, line: info.lines }));
  } catch (error) {
    throw new TensorARError(
      `${file}: cannot be read as CSV (${(error as Error).message}); expected a header "image,caption" or "image,caption,class"`,
    );
  }
  if (rows.length === 0)
    throw new TensorARError(
      `${file}: no images; expected a header "image,caption" or "image,caption,class" and a line for each image`,
    );
  for (const column of ["image", "caption"]) {
    if (!(column in rows[0]!.record)) {
      throw new TensorARError(
        `${file}: no column "${column}" in the header (${Object.keys(rows[0]!.record).join(", ")}); name the columns image, caption and, if wanted, class`,
      );
    }
  }
  return rows;
}
