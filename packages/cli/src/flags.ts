import { parseArgs } from "node:util";
import { quote, TensorARError } from "@tensorar/core";
import { type EarlierName, earlierNames } from "./earlier-names";
import type { Setting } from "./kinds";
import { didYouMean } from "./suggest";
import { isBlank, parseValue } from "./values";

/** A flag of every command, beside its settings. */
export const CONFIG = "config";

export interface GivenFlags {
  readonly help: boolean;
  /** The file named by `--config`. */
  readonly config: string | undefined;
  /** Values by the key of their setting. */
  readonly values: Readonly<Record<string, unknown>>;
  /** What is wrong with values, by the key of their setting: one line each. */
  readonly problems: ReadonlyMap<string, string>;
  /** Flags that were given under an earlier name. */
  readonly earlier: ReadonlySet<EarlierName>;
}

/** Texts by the name of their flag. A switch has none. */
interface Sorted {
  readonly texts: ReadonlyMap<string, readonly string[]>;
  readonly positionals: readonly string[];
  readonly unknown: readonly string[];
  readonly earlier: ReadonlySet<EarlierName>;
}

/**
 * Reads the flags that follow a command's name. Values of lists may follow each other: `--batch 1 3`, `--batch 1,3`.
 *
 * @param argument key of the setting that may come without its flag
 * @throws TensorARError naming all unknown flags, or a value that belongs to none
 */
export function readFlags(args: readonly string[], settings: readonly Setting[], argument?: string): GivenFlags {
  const { texts, positionals, unknown, earlier } = sortArguments(args, settings);
  if (texts.has("help")) return { help: true, config: undefined, values: {}, problems: new Map(), earlier };
  const known = [...settings.map(({ flag }) => flag), CONFIG];
  const flags = [...known, ...earlierNames(settings).map(({ flag }) => flag)];
  if (unknown.length > 0)
    throw new TensorARError(
      unknown.map((raw) => `unknown flag ${raw}${didYouMean(raw, known, (flag) => `--${flag}`)}`).join("\n"),
    );
  const [first, ...rest] = positionals;
  const problems = new Map<string, string>();
  const values: Record<string, unknown> = {};
  for (const { key, flag, kind } of settings) {
    const given = key === argument && first !== undefined ? [first] : texts.get(flag);
    try {
      if (kind.kind === "switch") {
        const off = texts.get(`no-${flag}`);
        if (given?.length || off?.length) throw new TensorARError(`takes no value; give --${flag} or --no-${flag}`);
        if (given || off) values[key] = given !== undefined;
      } else if (given) values[key] = parseValue(kind, expectValues(given, flags));
    } catch (error) {
      if (!(error instanceof TensorARError)) throw error;
      problems.set(key, `--${flag}${given?.length ? ` ${quote(given.join(" "))}` : ""}: ${error.message}`);
    }
  }
  const extra = argument === undefined ? first : rest[0];
  if (extra !== undefined)
    problems.set("", `unexpected argument ${quote(extra)}; settings are given as flags, see --help`);
  const config = texts.get(CONFIG)?.at(-1) ?? "";
  const named = !isBlank(config);
  if (texts.has(CONFIG) && !named) problems.set(CONFIG, "--config: empty; must be the name of a JSON file");
  return { help: false, config: named ? config : undefined, values, problems, earlier };
}

/** A flag at the end, or before another flag, lacks its value. */
function expectValues(texts: readonly string[], known: readonly string[]): readonly string[] {
  if (texts.length === 0) throw new TensorARError("needs a value");
  const flag = texts.find((text) => text.startsWith("--") && known.includes(text.slice(2)));
  if (flag !== undefined) throw new TensorARError(`needs a value, not the flag ${flag}`);
  return texts;
}

function sortArguments(args: readonly string[], settings: readonly Setting[]): Sorted {
  const switches = settings.flatMap(({ flag, kind }) => (kind.kind === "switch" ? [flag, `no-${flag}`] : []));
  const lists = new Set(settings.flatMap(({ flag, kind }) => (kind.kind === "list" ? [flag] : [])));
  const renamed = earlierNames(settings);
  const valued = [
    CONFIG,
    ...renamed.map(({ flag }) => flag),
    ...settings.flatMap(({ flag, kind }) => (kind.kind === "switch" ? [] : [flag])),
  ];
  const options = Object.fromEntries([
    ...valued.map((flag) => [flag, { type: "string" as const, multiple: true }]),
    ...["help", ...switches].map((flag) => [flag, { type: "boolean" as const, multiple: true }]),
  ]);
  options.help = { type: "boolean", short: "h" };
  const { tokens } = parseArgs({ args: [...args], options, strict: false, allowPositionals: true, tokens: true });
  const texts = new Map<string, string[]>();
  const positionals: string[] = [];
  const unknown: string[] = [];
  const earlier = new Set<EarlierName>();
  let open: string[] | undefined; // the list that a further value belongs to
  for (const token of tokens) {
    if (token.kind === "positional") (open ?? positionals).push(token.value);
    if (token.kind !== "option") {
      if (token.kind === "option-terminator") open = undefined;
      continue;
    }
    const { rawName, value } = token;
    const known = renamed.find(({ flag }) => flag === token.name);
    if (known) earlier.add(known);
    const name = known?.today.flag ?? token.name;
    texts.delete(name.startsWith("no-") ? name.slice(3) : `no-${name}`); // the last of a switch counts
    if (!Object.hasOwn(options, name)) unknown.push(rawName);
    const given = texts.get(name) ?? [];
    texts.set(name, value === undefined ? given : [...given, value]);
    open = lists.has(name) ? texts.get(name) : undefined;
  }
  return { texts, positionals, unknown, earlier };
}
