import type { z } from "zod";

/** What a command does, apart from its declaration: it is loaded when it runs, so that help appears at once. */
export interface CommandBody<Settings> {
  /** Throws the signal's reason when it is stopped; what else a user should know of that, it prints before. */
  run(settings: Settings, signal: AbortSignal): Promise<void>;
}

/**
 * The declaration of a command: a flat zod schema, and where its body is. The schema is the only place where a setting appears:
 * flags (`batchSize` → `--batch-size`), help, defaults, the keys of a `--config` file and validation all come from it.
 */
export interface Command<Schema extends z.ZodObject = z.ZodObject> {
  readonly name: string;
  readonly description: string;
  readonly schema: Schema;
  /** A setting that may also be given without its flag. */
  readonly argument?: keyof z.infer<Schema> & string;
  /** Settings that stand for others, such as a preset: what those are unless they are given. */
  readonly defaults?: (given: Readonly<Record<string, unknown>>) => Record<string, unknown>;
  readonly load: () => Promise<CommandBody<z.infer<Schema>>>;
}

/** The declaration as it is, with the types of its schema. */
export const defineCommand = <Schema extends z.ZodObject>(command: Command<Schema>): Command<Schema> => command;

/** What a program says of itself from its package.json. */
export interface ProgramManifest {
  readonly version: string;
  /** Where bugs are reported. */
  readonly bugs: string;
}

/** A command line: `NAME COMMAND --flags`. */
export interface Program extends ProgramManifest {
  readonly name: string;
  readonly description: string;
  readonly commands: readonly Command[];
}
