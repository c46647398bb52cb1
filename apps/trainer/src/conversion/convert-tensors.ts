import type { FloatDType } from "@tensorar/checkpoint";
import { convertToSafetensors, openCheckpoint } from "@tensorar/checkpoint/node";
import { TensorARError } from "@tensorar/core";
import { startProgress } from "../progress";

const LISTED = 4;
const MEGABYTE = 1e6;

export interface Conversion {
  /** PyTorch or safetensors, a folder or an index of several files. */
  readonly source: string;
  /** Name and shape of every tensor that the new file holds. */
  readonly shapes: Readonly<Record<string, readonly number[]>>;
  /** What names begin with in the source alone; tensors whose names do not are left out. */
  readonly prefix?: string | undefined;
  /** Further tensors that are left out, by their names after the prefix. */
  readonly ignored: RegExp;
  /** What it should be, for messages: `GPT-B of llamagen`. */
  readonly what: string;
  /** Default: as in the source. */
  readonly dtype?: FloatDType | undefined;
}

/**
 * Checks that a checkpoint holds exactly these tensors and writes them as safetensors, piece by piece: memory does not
 * grow with the file.
 * @throws TensorARError listing what is missing, unexpected or of another shape; nothing is written then
 */
export async function convertTensors(target: string, conversion: Conversion): Promise<void> {
  const { source, dtype } = conversion;
  const own = ownName(conversion);
  await checkNames(conversion);
  let progress: ReturnType<typeof startProgress> | undefined;
  await convertToSafetensors(source, target, {
    dtype,
    metadata: { format: "pt" },
    keep: (name) => own(name) !== undefined,
    rename: (name) => own(name)!,
    onProgress: ({ bytesWritten, bytesTotal }) => {
      progress ??= startProgress(`convert ${conversion.what} (MB)`, Math.ceil(bytesTotal / MEGABYTE));
      progress.update(Math.ceil(bytesWritten / MEGABYTE));
    },
  });
  progress?.stop();
}

/** A source's name → the name in the new file, or undefined for what is left out. */
const ownName =
  ({ prefix = "", ignored }: Conversion) =>
  (name: string): string | undefined => {
    const own = name.startsWith(prefix) ? name.slice(prefix.length) : undefined;
    return own === undefined || ignored.test(own) ? undefined : own;
  };

async function checkNames(conversion: Conversion): Promise<void> {
  const { source, shapes, what } = conversion;
  const file = await openCheckpoint(source);
  try {
    const own = ownName(conversion);
    const names = new Map(file.names.flatMap((name) => (own(name) === undefined ? [] : [[own(name)!, name] as const])));
    const shapeOf = (name: string) => file.info(names.get(name)!).shape;
    const wanted = Object.entries(shapes);
    const problems = {
      missing: wanted.flatMap(([name, shape]) => (names.has(name) ? [] : [`"${name}" [${shape}]`])),
      unexpected: [...names.keys()].flatMap((name) =>
        Object.hasOwn(shapes, name) ? [] : [`"${name}" [${shapeOf(name)}]`],
      ),
      "of another shape": wanted.flatMap(([name, shape]) => {
        const given = names.has(name) ? shapeOf(name) : shape;
        return given.join() === shape.join() ? [] : [`"${name}" [${given}], not [${shape}]`];
      }),
    };
    const lines = Object.entries(problems).flatMap(([problem, list]) =>
      list.length === 0
        ? []
        : [`  ${list.length} ${problem}: ${list.slice(0, LISTED).join(", ")}${list.length > LISTED ? ", …" : ""}`],
    );
    if (lines.length > 0)
      throw new TensorARError(`${source} is not ${what}:\n${lines.join("\n")}\nname the model that it holds`);
  } finally {
    await file.close();
  }
}
