import { readFile } from "node:fs/promises";
import { TensorARError } from "@tensorar/core";
import { type Command, Option } from "commander";
import { z } from "zod";

/** What a command does, apart from its declaration: it is loaded when it runs, so that help appears at once. */
export interface CommandBody<Settings> {
  run(settings: Settings, signal: AbortSignal): Promise<void>;
}

/**
 * A command is a flat zod schema and a function. The schema is the only place where a setting appears: flags
 * (`batchSize` → `--batch-size`), help, defaults, the keys of a `--config` file and validation all come from it.
 */
export interface CommandDefinition<Shape extends z.ZodRawShape> {
  readonly name: string;
  readonly description: string;
  readonly schema: z.ZodObject<Shape, z.core.$strict>;
  /** A setting that may also be given without its flag. */
  readonly argument?: keyof Shape & string;
  /** Settings that stand for others, such as a preset: what those are unless they are given. */
  readonly defaults?: (given: Record<string, unknown>) => Record<string, unknown>;
  readonly load: () => Promise<CommandBody<z.infer<z.ZodObject<Shape, z.core.$strict>>>>;
}

interface JsonProperty {
  readonly type?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly enum?: readonly string[];
  /** Either of several: a number, or a list of them. */
  readonly anyOf?: readonly JsonProperty[];
}

const kebab = (key: string): string => key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

/** A flag's text as the value a JSON config file would hold; anything unparsable stays text and fails validation by name. */
function flagValue(property: JsonProperty, text: string): unknown {
  if (property.type === "number" || property.type === "integer") return text.trim() === "" ? text : Number(text);
  if (property.anyOf) {
    const numbers = text.split(",").map(Number);
    if (numbers.some(Number.isNaN)) return text;
    return numbers.length === 1 ? numbers[0] : numbers;
  }
  if (property.type === "array") return text.split(",").map((part) => part.trim());
  return text;
}

function optionFor(key: string, property: JsonProperty): Option[] {
  const description = `${property.description ?? ""}${property.default === undefined ? "" : ` (default: ${JSON.stringify(property.default)})`}`;
  if (property.type === "boolean") {
    return [new Option(`--${kebab(key)}`, description), new Option(`--no-${kebab(key)}`).hideHelp()];
  }
  const option = new Option(`--${kebab(key)} <value>`, description).argParser((text) => flagValue(property, text));
  return [property.enum ? option.choices(property.enum) : option];
}

async function readConfigFile(path: string): Promise<Record<string, unknown>> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    throw new TensorARError(
      `cannot read the config file ${path}: ${(error as Error).message}; check the path given to --config`,
    );
  }
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    throw new TensorARError(`${path} is not valid JSON: ${(error as Error).message}`);
  }
  if (typeof parsed !== "object" || parsed === null || Array.isArray(parsed)) {
    throw new TensorARError(
      `${path} must hold a JSON object of settings, got ${Array.isArray(parsed) ? "an array" : typeof parsed}`,
    );
  }
  return parsed as Record<string, unknown>;
}

/**
 * Settings of a command from its config file and flags; flags win.
 * @throws TensorARError naming source, key, value and the accepted keys or values
 */
export function parseSettings<Schema extends z.ZodObject>(
  schema: Schema,
  source: string,
  settings: Record<string, unknown>,
): z.infer<Schema> {
  const result = schema.safeParse(settings);
  if (result.success) return result.data;
  const lines = result.error.issues.map((issue) => {
    if (issue.code === "unrecognized_keys") {
      return `unknown key ${issue.keys.map((key) => `"${key}"`).join(", ")}; known keys: ${Object.keys(schema.shape).join(", ")}`;
    }
    const key = issue.path.join(".");
    const value = issue.path.reduce<unknown>(
      (at, part) => (at as Record<PropertyKey, unknown> | undefined)?.[part],
      settings,
    );
    return `"${key}" = ${JSON.stringify(value)}: ${issue.message} (flag --${kebab(String(issue.path[0]))})`;
  });
  throw new TensorARError(`bad settings in ${source}:\n  ${lines.join("\n  ")}`);
}

/** Adds a command to the program; its errors of kind TensorARError end the process with one clear line. */
export function addCommand<Shape extends z.ZodRawShape>(
  program: Command,
  definition: CommandDefinition<Shape>,
  signal: AbortSignal,
): void {
  const command = program.command(definition.name).description(definition.description);
  command.option("--config <file>", "JSON file with any of the settings below; flags override it");
  const json = z.toJSONSchema(definition.schema, { io: "input", unrepresentable: "any" });
  for (const [key, property] of Object.entries(json.properties ?? {})) {
    for (const option of optionFor(key, property as JsonProperty)) command.addOption(option);
  }
  const { argument } = definition;
  if (argument !== undefined) {
    const property = json.properties?.[argument] as JsonProperty | undefined;
    command.argument(`[${argument}]`, property?.description);
  }
  command.action(async (...args: unknown[]) => {
    const [positional, flags] = (argument === undefined ? [undefined, ...args] : args) as [
      string | undefined,
      Record<string, unknown>,
    ];
    const { config, ...named } = flags;
    const given = argument !== undefined && positional !== undefined ? { ...named, [argument]: positional } : named;
    const fromFile = typeof config === "string" ? await readConfigFile(config) : {};
    const source = typeof config === "string" ? `${config} and flags` : "flags";
    const settings = { ...fromFile, ...given };
    const complete = { ...definition.defaults?.(settings), ...settings };
    const parsed = parseSettings(definition.schema, source, complete);
    const body = await definition.load();
    await body.run(parsed, signal);
  });
}
