import { availableParallelism, cpus, freemem, totalmem } from "node:os";
import type { PackageCheck } from "@tensorar/core/node";
import { z } from "zod";
import { type Command, defineCommand, type Program } from "./command";

const schema = z.strictObject({});

/** `doctor` of a program; its body makes the checks and prints {@link describeMachine}. */
export const doctorCommand = (load: Command<typeof schema>["load"]): Command<typeof schema> =>
  defineCommand({
    name: "doctor",
    description: "say what this machine has, what works on it, and how to install what is missing",
    schema,
    load,
  });

/** Packages of which the first that works is used. */
export interface Part {
  /** What they are for. */
  readonly title: string;
  /** `details` are further lines, left out where another is used. */
  readonly packages: readonly (PackageCheck & { readonly details?: readonly string[] })[];
  /** What to run where none of them works. */
  readonly remedy: string;
}

const GIB = 2 ** 30;

/** This machine and the parts of a program, in lines. */
export function describeMachine({ name, version }: Pick<Program, "name" | "version">, parts: readonly Part[]): string {
  const [memory, free] = [totalmem(), freemem()].map((bytes) => (bytes / GIB).toFixed(1));
  const processor = [cpus()[0]?.model.trim(), `${availableParallelism()} threads`].filter(Boolean).join(", ");
  return [
    `${name} ${version} on Node ${process.versions.node}, ${process.platform} ${process.arch}`,
    `${processor}, ${memory} GiB of memory (${free} GiB free)`,
    ...parts.flatMap((part) => ["", ...describePart(part)]),
  ].join("\n");
}

function describePart({ title, packages, remedy }: Part): string[] {
  const used = packages.find(({ reason }) => reason === undefined);
  const lines = packages.flatMap((check) => {
    const { name, version, path, reason } = check;
    const state = reason ?? (check === used ? "works, and is used" : "works");
    const below =
      reason !== undefined || check === used ? [...(path === undefined ? [] : [path]), ...(check.details ?? [])] : [];
    return [
      `  ${version === undefined ? name : `${name} ${version}`}: ${state}`,
      ...below.map((line) => `    ${line}`),
    ];
  });
  return [`${title}:`, ...lines, ...(used ? [] : [`  to install it: ${remedy}`])];
}
