import { basename, dirname, extname, resolve } from "node:path";
import { splitLines, TensorARError } from "@tensorar/core";
import { readText } from "@tensorar/core/node";
import { parse } from "csv-parse/sync";
import { captionOf } from "../files/captions";
import { readImageFile } from "../files/image-file";
import { DEFAULT_LIMITS } from "../limits";
import { classesOf } from "./class-names";
import type { FolderOptions } from "./folder-source";
import type { ImageSource, SourceEntry } from "./source";

/** The one class of captions without classes. */
export const ONLY_CLASS = "image";

/**
 * A CSV file with a header and the columns `image` (a path, relative to the file), `caption` and, if wanted, `class`
 * (a name; labels follow the names in natural order, or the file of class names). Further columns are ignored. Columns are
 * separated by commas, or by semicolons or tabs where the header is.
 *
 * @throws TensorARError naming file and line, when it cannot be read or parsed, or a needed column or value is missing
 */
export async function csvSource(file: string, options: FolderOptions = {}): Promise<ImageSource> {
  const { classNames, maxFileBytes = DEFAULT_LIMITS.maxFileBytes } = options;
  const rows = await readRows(file);
  const hasClass = "class" in rows[0]!.record;
  expectFilled(file, rows, hasClass ? ["image", "class"] : ["image"]);
  if (!hasClass && classNames !== undefined)
    throw new TensorARError(`${file} has no column "class"; add it, or leave out --class-names ${classNames}`);
  const classes = hasClass
    ? await classesOf(
        rows.map(({ record }) => record.class!),
        file,
        classNames,
      )
    : [ONLY_CLASS];
  const labels = new Map(classes.map((name, label) => [name, label]));
  const entries = rows.map(
    ({ record: { image = "", caption = "", class: className = ONLY_CLASS }, line }): SourceEntry => {
      const path = resolve(dirname(file), image);
      return {
        name: image,
        where: `${path} (${file}, line ${line})`,
        label: labels.get(className)!,
        caption: captionOf(caption, `${file}, line ${line}`),
        load: () => readImageFile(path, { maxFileBytes }),
      };
    },
  );
  return {
    name: basename(file, extname(file)),
    classes,
    attribution: [],
    total: entries.length,
    entries: () => entries,
    leftOut: () => [],
  };
}

/** @throws TensorARError naming the first line where one of the columns is empty */
function expectFilled(file: string, rows: readonly Row[], columns: readonly string[]): void {
  for (const { record, line } of rows)
    for (const column of columns)
      if (!record[column])
        throw new TensorARError(`${file}, line ${line}: "${column}" is empty; fill it in or remove the line`);
}

interface Row {
  readonly record: Readonly<Record<string, string>>;
  readonly line: number;
}

const NEEDED = ["image", "caption"];

async function readRows(file: string): Promise<Row[]> {
  const text = await readText(file);
  let rows: Row[];
  try {
    const parsed = parse<{ record: Record<string, string>; info: { lines: number } }>(text, {
      columns: true,
      delimiter: delimiterOf(text),
      info: true,
      skip_empty_lines: true,
      trim: true,
    });
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
  for (const column of NEEDED) {
    if (!(column in rows[0]!.record)) {
      throw new TensorARError(
        `${file}: no column "${column}" in the header (${Object.keys(rows[0]!.record).join(", ")}); name the columns image, caption and, if wanted, class`,
      );
    }
  }
  return rows;
}

/** What separates the columns of the header: Excel writes semicolons where the comma is the decimal sign. */
function delimiterOf(text: string): string {
  const header = splitLines(text).find((line) => line.trim() !== "") ?? "";
  const hasColumns = (delimiter: string) => {
    const names = header.split(delimiter).map((name) => name.trim().replace(/^"(.*)"$/, "$1"));
    return NEEDED.every((column) => names.includes(column));
  };
  return [",", ";", "\t"].find(hasColumns) ?? ",";
}
