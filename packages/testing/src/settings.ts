import { type Command, type Condition, type Program, readSettings, type Setting, settingsOf } from "@tensorar/cli";
import { expect, test } from "vitest";

/** What people and scripts give by mistake, or to see what happens. */
const HOSTILE = [
  ...["", " ", "\t", "NaN", "nan", "Infinity", "-Infinity", "inf", "undefined", "null", "true", "[]", "{}", "-", "+1"],
  ...["0x10", "0b1", "0o7", "1_000", "1n", "1,", ",1", ",", "1,,2", "1;2", "1 2", " 1", "1 ", "1.5.2", "1e", "e1", "١"],
  ...["1e1", "1e308", "1e309", "-1e308", "1e-400", "9007199254740992", "9007199254740993", "2147483648", "4294967296"],
  ...["-1", "-0.5", "0", "1", "1.0", "1.5", "100000000000000000000000000000000", "../..", "'", "\u0000", "--", "-x"],
];

const WHOLE = /^-?\d+$/;
const NUMBER = /^-?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;

/** A valid text for a setting. */
function validText({ kind }: Setting): string {
  if (kind.kind === "switch") throw new Error("a switch has no text");
  const scalar = kind.kind === "list" ? kind.of : kind;
  if (scalar.kind === "choice") return scalar.of[0]!;
  if (scalar.kind === "text") return "somewhere";
  return String(scalar.least ?? scalar.most);
}

/** Why a value that was accepted should not have been; undefined where it was right to. */
function objection({ kind }: Setting, text: string, value: unknown): string | undefined {
  if (kind.kind === "switch") return "a switch takes no value";
  if (kind.kind === "list" && (kind.single ? text.includes(",") : true)) {
    const parts = text.split(",").map((part) => part.trim());
    const values = value as readonly unknown[];
    if (!Array.isArray(values) || values.length !== parts.length) return "another number of parts";
    return parts.map((part, i) => scalarObjection(kind.of, part, values[i])).find((reason) => reason !== undefined);
  }
  return scalarObjection(kind.kind === "list" ? kind.of : kind, kind.kind === "list" ? text.trim() : text, value);
}

function scalarObjection(kind: Exclude<Setting["kind"], { kind: "switch" | "list" }>, text: string, value: unknown) {
  if (text.trim() === "") return "blank";
  if (text.includes("\0")) return "no system takes it";
  if (kind.kind === "text") return value === text ? undefined : "changed";
  if (kind.kind === "choice") return kind.of.includes(value as string) ? undefined : "none of the choices";
  if (!(kind.kind === "integer" ? WHOLE : NUMBER).test(text)) return "no decimal number";
  const number = value as number;
  if (!Number.isFinite(number) || number !== Number(text)) return "not the number that was given";
  const { least = -Infinity, above = -Infinity, most = Infinity, below = Infinity } = kind;
  return number >= least && number > above && number <= most && number < below ? undefined : "out of bounds";
}

/**
 * Tests every setting of every command, whatever they are: numbers have bounds, and hostile values are taken as what they say or
 * refused in a line that names the flag and what is valid.
 */
export function testSettings({ name, commands }: Program): void {
  const titled = commands.map((command) => ({ title: `${name} ${command.name}`, command }));
  test.each(titled)("$title: every number has bounds, every setting a description", ({ command }) => {
    for (const setting of settingsOf(command.schema)) expectBounds(setting);
  });
  test.each(titled)("$title refuses settings that would have no effect", async ({ command }) => {
    const settings = settingsOf(command.schema);
    for (const setting of settings.filter(({ onlyWith }) =>
      onlyWith.some((condition) => !isUsual(condition, settings)),
    ))
      await expect(readSettings(command, [...requiredBeside(setting, settings), ...given(setting)])).rejects.toThrow(
        new RegExp(`^--(no-)?${setting.flag}\\b.* has no effect without `),
      );
  });
  test.each(titled)("$title takes hostile values rightly or names the flag", async ({ command }) => {
    const settings = settingsOf(command.schema);
    let refused = 0;
    for (const setting of settings) refused += await expectRefusals(command, setting, settings);
    expect(refused).toBeGreaterThanOrEqual(3 * settings.length); // blanks, at least
  });
}

function expectBounds({ key, kind, description }: Setting): void {
  expect(description, key).not.toBe("");
  const scalar = kind.kind === "list" ? kind.of : kind;
  if (scalar.kind !== "integer" && scalar.kind !== "number") return;
  expect(scalar.least ?? scalar.above, `${key}: a lower bound`).toBeDefined();
  expect(scalar.most ?? scalar.below, `${key}: an upper bound`).toBeDefined();
  if (scalar.kind === "integer") expect(scalar.most, `${key}: what can be addressed`).toBeLessThan(2 ** 31);
}

/** Whether the defaults meet a condition. */
const isUsual = (condition: Condition, settings: readonly Setting[]): boolean =>
  Object.entries(condition).some(([key, asked]) => {
    const { usual } = settingOf(key, settings);
    if (typeof asked === "boolean") return asked === Boolean(usual);
    return "least" in asked ? Number(usual) >= asked.least : asked.includes(usual as string);
  });

const settingOf = (key: string, settings: readonly Setting[]): Setting => settings.find((each) => each.key === key)!;

/** A setting with a valid value. */
const given = (setting: Setting): string[] =>
  setting.kind.kind === "switch"
    ? [`--${setting.usual === true ? "no-" : ""}${setting.flag}`]
    : [`--${setting.flag}`, validText(setting)];

const requiredBeside = (setting: Setting, settings: readonly Setting[]): string[] =>
  settings.filter(({ required, key }) => required && key !== setting.key).flatMap(given);

/** What a setting has an effect with, and what that has one with. */
function companions(setting: Setting, settings: readonly Setting[]): string[] {
  const args = new Map<string, string[]>([[setting.key, []]]);
  const add = ({ onlyWith }: Setting): void => {
    for (const condition of onlyWith) {
      const [key, asked] = Object.entries(condition)[0]!;
      if (asked === false || args.has(key)) continue;
      const other = settingOf(key, settings);
      args.set(key, asked === true ? on(other) : [`--${other.flag}`, "least" in asked ? `${asked.least}` : asked[0]!]);
      add(other);
    }
  };
  add(setting);
  return [...args.values()].flat();
}

/** A setting that is on, which 0 is not. */
const on = (setting: Setting): string[] =>
  setting.kind.kind === "integer" || setting.kind.kind === "number" ? [`--${setting.flag}`, "1"] : given(setting);

/** @returns how many values were refused */
async function expectRefusals(command: Command, setting: Setting, settings: readonly Setting[]): Promise<number> {
  const others = [...requiredBeside(setting, settings), ...companions(setting, settings)];
  let refused = 0;
  for (const text of HOSTILE) {
    const message = await outcomeOf(command, [...others, `--${setting.flag}=${text}`], setting, text);
    if (message === undefined) continue;
    refused++;
    expect(message.split("\n"), message).toHaveLength(1);
    expect(message, JSON.stringify(text)).toMatch(new RegExp(`^--${setting.flag}\\b.*: .*(must be|takes no value)`));
  }
  return refused;
}

/** The message of a refusal; undefined where the value was taken, and rightly. */
async function outcomeOf(command: Command, args: readonly string[], setting: Setting, text: string) {
  let read: Record<string, unknown> | undefined;
  try {
    read = await readSettings(command, args);
  } catch (error) {
    expect(error).toMatchObject({ name: "TensorARError" });
    return (error as Error).message;
  }
  const reason = objection(setting, text, read?.[setting.key]);
  expect(reason, `--${setting.flag}=${JSON.stringify(text)} → ${JSON.stringify(read?.[setting.key])}`).toBeUndefined();
  return undefined;
}
