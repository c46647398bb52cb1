import type { Command, Program } from "./command";
import { placeholder, type Setting, settingsOf } from "./kinds";
import { conditionText } from "./only-with";

const WIDTH = 110;
/** Flags that are longer have their description on the next line. */
const COLUMN = 30;

export function programHelp({ name, description, commands }: Program): string {
  const rows = commands.map((command): Row => [command.name, command.description]);
  return sections(
    `Usage: ${name} COMMAND [settings]`,
    description,
    table("Commands", rows),
    table("Options", [
      ["--help, -h", "show this, or all settings of a command"],
      ["--version, -V", "show the version"],
    ]),
    `\`${name} COMMAND --help\` lists the settings of a command.`,
  );
}

export function commandHelp({ name }: Program, command: Command): string {
  const settings = settingsOf(command.schema);
  const required = settings.filter((setting) => setting.required);
  const { argument } = command;
  const positional = settings.find(({ key }) => key === argument);
  const shown = required.filter((setting) => setting !== positional).map((setting) => ` ${written(setting)}`);
  const place = positional
    ? ` ${positional.required ? positional.key.toUpperCase() : `[${positional.key.toUpperCase()}]`}`
    : "";
  return sections(
    `Usage: ${name} ${command.name}${place}${shown.join("")}${settings.length > required.length ? " [settings]" : ""}`,
    command.description,
    table(
      "Required",
      required.map((setting) => row(setting, settings, setting === positional)),
    ),
    table(
      "Settings",
      settings.filter((setting) => !setting.required).map((setting) => row(setting, settings, setting === positional)),
    ),
    table("Options", [
      ["--config <value>", 'JSON file with any of the settings, as {"batchSize": 32}; flags override it'],
      ["--help, -h", "show this"],
    ]),
  );
}

type Row = readonly [left: string, right: string];

function row(setting: Setting, settings: readonly Setting[], positional: boolean): Row {
  const { description, kind, usual, flag, key } = setting;
  const notes: string[] = [];
  const choice = kind.kind === "list" ? kind.of : kind;
  if (kind.kind === "choice" && placeholder(kind) === "<name>") notes.push(`one of ${kind.of.join(", ")}`);
  if (kind.kind === "list" && choice.kind === "choice" && placeholder(choice) === "<name>")
    notes.push(`of ${choice.of.join(", ")}`);
  if (positional) notes.push(`also without the flag, as ${key.toUpperCase()}`);
  if (usual !== undefined && usual !== false && !isEmpty(usual))
    notes.push(`default: ${shownDefault(usual)}${usual === true ? `; --no-${flag}` : ""}`);
  const text = conditionText(setting, settings) + description;
  return [written(setting), `${text}${notes.length > 0 ? ` (${notes.join("; ")})` : ""}`];
}

const written = ({ flag, kind }: Setting): string =>
  kind.kind === "switch" ? `--${flag}` : `--${flag} ${placeholder(kind)}`;

const isEmpty = (value: unknown): boolean => Array.isArray(value) && value.length === 0;

const shownDefault = (value: unknown): string =>
  value === true ? "on" : Array.isArray(value) ? value.join(",") : String(value);

function table(title: string, rows: readonly Row[]): string {
  if (rows.length === 0) return "";
  const column = Math.min(COLUMN, Math.max(...rows.map(([left]) => left.length)) + 2);
  const lines = rows.flatMap(([left, right]) => {
    const [first = "", ...rest] = wrap(right, WIDTH - column - 2);
    const indent = " ".repeat(column);
    return left.length + 2 > column
      ? [left, ...[first, ...rest].map((line) => indent + line)]
      : [left.padEnd(column) + first, ...rest.map((line) => indent + line)];
  });
  return [`${title}:`, ...lines.map((line) => `  ${line}`)].join("\n");
}

function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  return [...lines, line];
}

const sections = (...parts: readonly string[]): string => parts.filter((part) => part !== "").join("\n\n");
