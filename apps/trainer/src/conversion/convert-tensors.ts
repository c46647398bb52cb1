import { type CheckpointFile, type FloatDType, isAveraged, isOptimizer, type Part } from "@tensorar/checkpoint";
import { convertToSafetensors, openCheckpoint } from "@tensorar/checkpoint/node";
import { startProgress } from "@tensorar/cli";
import { TensorARError } from "@tensorar/core";
import { choosePart, type Wanted } from "./choose-part";

const LISTED = 4;
const MEGABYTE = 1e6;

export interface Conversion extends Wanted {
  /** PyTorch or safetensors, a folder or an index of several files. */
  readonly source: string;
  /** Where in the source to look: keys joined by dots. Default: everywhere. */
  readonly root?: string | undefined;
  /** What names begin with, in place of what is found. */
  readonly stripPrefix?: string | undefined;
  /** Tensors beside the wanted ones that are left out, by their names in the part. */
  readonly ignored: RegExp;
  /** Default: as in the source. */
  readonly dtype?: FloatDType | undefined;
}

/** A source whose names and shapes are those that are wanted. */
export interface CheckedConversion {
  /** What is said about it, line by line. */
  readonly notes: readonly string[];
  /** What the names of the weights began with there. */
  readonly weights: string;
  /**
   * Writes the tensors as safetensors, piece by piece: memory does not grow with the file.
   * @throws the reason of `signal` when it aborts
   */
  write(target: string, signal: AbortSignal): Promise<void>;
}

/**
 * Finds the wanted tensors in a checkpoint.
 * @throws TensorARError listing what is missing, unexpected or of another shape
 */
export async function checkConversion(conversion: Conversion): Promise<CheckedConversion> {
  const { source, stripPrefix, dtype, what } = conversion;
  // A prefix is cut below the usual root; without one, all of the file is searched.
  const options = { root: conversion.root ?? (stripPrefix === undefined ? "" : undefined), stripPrefix };
  const file = await openCheckpoint(source, options);
  try {
    const { part, note } = choosePart(file, conversion);
    const left = extras(file, part, conversion);
    const wantedName = new Map([...part.names].map(([name, inFile]) => [inFile, name]));
    return {
      weights: part.prefix,
      notes: [
        ...(note === undefined ? [] : [note]),
        ...(left.length > 0 ? [`${source}: left out, as no weights: ${left.join(", ")}`] : []),
      ],
      async write(target, signal) {
        let progress: ReturnType<typeof startProgress> | undefined;
        let shown = 0;
        await convertToSafetensors(source, target, {
          ...options,
          dtype,
          metadata: { format: "pt" },
          keep: (name) => wantedName.has(name),
          rename: (name) => wantedName.get(name)!,
          onProgress: ({ bytesWritten, bytesTotal }) => {
            signal.throwIfAborted();
            progress ??= startProgress(`convert ${what}`, Math.ceil(bytesTotal / MEGABYTE), "MB");
            const megabytes = Math.ceil(bytesWritten / MEGABYTE);
            if (megabytes > shown) progress.update(megabytes);
            shown = megabytes;
          },
        });
        progress?.stop();
      },
    };
  } finally {
    await file.close();
  }
}

/**
 * What stands beside the wanted tensors and can't be weights: integers, single numbers, and types that are not read.
 * @throws TensorARError where weights are there that the model does not have: it is another model
 */
function extras(file: CheckpointFile, { of, ...chosen }: Part, { source, what, ignored }: Conversion): string[] {
  const part = of ?? chosen;
  const used = new Set(part.names.values());
  const left: string[] = [];
  const unexpected: string[] = [];
  for (const name of file.names) {
    const own = name.slice(part.prefix.length);
    if (!name.startsWith(part.prefix) || used.has(name) || ignored.test(own) || isOptimizer(own) || isAveraged(own))
      continue;
    const type = file.unreadable.get(name);
    const { dtype = type, shape = [] } = type === undefined ? file.info(name) : {};
    const isWeight = type === undefined && shape.length > 0 && /float/.test(dtype!);
    (isWeight ? unexpected : left).push(`"${own}" ${isWeight ? `[${shape}]` : `(${dtype})`}`);
  }
  if (unexpected.length === 0)
    return left.length > LISTED ? [...left.slice(0, LISTED), `… (${left.length} in all)`] : left;
  throw new TensorARError(
    `${source} is not ${what}:\n  ${unexpected.length} unexpected: ${unexpected.slice(0, LISTED).join(", ")}` +
      `${unexpected.length > LISTED ? ", …" : ""}\nname the model that it holds`,
  );
}
