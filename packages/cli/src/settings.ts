import { isDeepStrictEqual } from "node:util";
import { quote, TensorARError, underTodaysNames } from "@tensorar/core";
import { readJson } from "@tensorar/core/node";
import type { z } from "zod";
import type { Command } from "./command";
import { earlierNames } from "./earlier-names";
import { type GivenFlags, readFlags } from "./flags";
import { expected, flagOf, type Setting, settingsOf } from "./kinds";
import { idleReason } from "./only-with";
import { didYouMean } from "./suggest";
import { isBlank } from "./values";

/** Where a value was given: by a flag, or in a file. */
interface Sources {
  readonly flags: Readonly<Record<string, unknown>>;
  /** Name of the file. */
  readonly config: string | undefined;
}

/**
 * The settings of a command from the arguments after its name: its config file and flags; flags win.
 *
 * @returns undefined where help is asked for
 * @throws TensorARError naming all unknown flags; or else all bad values, with what is valid, and all that is missing
 */
export async function readSettings<Schema extends z.ZodObject>(
  command: Command<Schema>,
  args: readonly string[],
): Promise<z.infer<Schema> | undefined> {
  const settings = settingsOf(command.schema);
  const given = readFlags(args, settings, command.argument);
  if (given.help) return undefined;
  for (const { flag, today } of given.earlier) console.error(`note: --${flag} is called --${today.flag} now`);
  const file = given.config === undefined ? {} : await readConfig(given.config, settings);
  return checkSettings(command, settings, given, file);
}

/** @throws TensorARError see {@link readSettings} */
function checkSettings<Schema extends z.ZodObject>(
  { schema, defaults, argument }: Command<Schema>,
  settings: readonly Setting[],
  { values, config, problems: unparsed }: GivenFlags,
  file: Readonly<Record<string, unknown>>,
): z.infer<Schema> {
  const chosen = { ...file, ...values };
  const all = { ...defaults?.(chosen), ...chosen };
  const sources: Sources = { flags: values, config };
  const { data, error } = schema.safeParse(all);
  const problems = new Map([...refusals(error?.issues ?? [], all, settings, sources), ...unparsed]);
  if (data !== undefined && problems.size === 0)
    for (const [key, line] of idle(data, chosen, settings, sources)) problems.set(key, line);
  for (const setting of settings) {
    if (hasBlank(all[setting.key])) problems.set(setting.key, refusal(setting, all[setting.key], sources, "empty; "));
  }
  const missing = settings.filter(({ key, required }) => required && all[key] === undefined && !unparsed.has(key));
  const flags = missing.map(({ key, flag }) => (key === argument ? key.toUpperCase() : `--${flag}`)).join(", ");
  if (problems.size > 0 || missing.length > 0)
    throw new TensorARError([...problems.values(), ...(flags && [`missing required ${flags}`])].join("\n"));
  return data as z.infer<Schema>;
}

/**
 * Settings that were given without the one that they have an effect with, by their key. A file may hold all settings of a command:
 * those that are as by default change nothing.
 */
function* idle(
  data: Readonly<Record<string, unknown>>,
  chosen: Readonly<Record<string, unknown>>,
  settings: readonly Setting[],
  sources: Sources,
): Generator<[key: string, line: string]> {
  for (const setting of settings) {
    const { key, usual } = setting;
    const isGiven =
      Object.hasOwn(sources.flags, key) || (Object.hasOwn(chosen, key) && !isDeepStrictEqual(chosen[key], usual));
    const reason = isGiven ? idleReason(setting, data, settings) : undefined;
    if (reason !== undefined) yield [key, `${placeOf(setting, chosen[key], sources)} ${reason}`];
  }
}

/** What zod refuses, by the key of the setting. */
function refusals(
  issues: readonly z.core.$ZodIssue[],
  all: Readonly<Record<string, unknown>>,
  settings: readonly Setting[],
  sources: Sources,
): Map<string, string> {
  const lines = new Map<string, string>();
  for (const issue of issues) {
    if (issue.code === "unrecognized_keys") {
      for (const key of issue.keys) lines.set(key, unknownKey(key, settings, sources));
      continue;
    }
    const setting = settings.find(({ key }) => key === issue.path[0]);
    const value = setting && all[setting.key];
    if (value === undefined) continue; // missing, which is told of all at once
    lines.set(setting!.key, refusal(setting!, value, sources, "", issue.code === "custom" ? issue.message : undefined));
  }
  return lines;
}

const unknownKey = (key: string, settings: readonly Setting[], { config }: Sources): string => {
  const known = settings.map((setting) => setting.key);
  const meant = didYouMean(
    key,
    settings.map(({ flag }) => flag),
    (flag) => `"${settings.find((each) => each.flag === flag)!.key}"`,
  );
  return `${config}: unknown key ${quote(key)}${meant}; known keys: ${known.join(", ")}`;
};

/** A blank text, or a list with one. */
const hasBlank = (value: unknown): boolean =>
  Array.isArray(value) ? value.some(hasBlank) : typeof value === "string" && isBlank(value);

/** A setting and its value as they were given, and what would be right. */
const refusal = (setting: Setting, value: unknown, sources: Sources, what: string, reason?: string): string =>
  `${placeOf(setting, value, sources)}: ${reason ?? `${what}must be ${expected(setting.kind)}`}`;

/** A setting and its value as they were given. */
function placeOf({ key, flag, kind }: Setting, value: unknown, { flags, config }: Sources): string {
  if (!Object.hasOwn(flags, key) && config !== undefined) return `${config}: "${key}" = ${quote(value)} (--${flag})`;
  if (kind.kind === "switch") return value === true ? `--${flag}` : `--no-${flag}`;
  return `--${flag} ${quote(Array.isArray(value) ? value.join(",") : value)}`;
}

async function readConfig(path: string, settings: readonly Setting[]): Promise<Record<string, unknown>> {
  const value = await readJson(path, "a JSON file with settings, given to --config");
  if (typeof value === "object" && value !== null && !Array.isArray(value)) {
    const names = earlierNames(settings).map(({ key, today }) => [key, today.key] as const);
    return underTodaysNames(Object.fromEntries(names))(value) as Record<string, unknown>;
  }
  throw new TensorARError(`${path}: must hold a JSON object of settings, such as {"${flagOf("seed")}": 1}`);
}
