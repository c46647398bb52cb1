import type { FloatDType } from "@tensorar/checkpoint";
import { convertToSafetensors, openCheckpoint } from "@tensorar/checkpoint/node";
import { TensorARError } from "../errors";
import { startProgress } from "../progress";

const LISTED = 4;
const MEGABYTE = 1e6;

export interface Conversion {
  /** PyTorch or safetensors, a folder or an index of several files. */
  readonly source: string;
  /** Name and shape of every tensor that the new file holds. */
  readonly shapes: Readonly<Record<string, readonly number[]>>;
  /** Tensors of the source that are left out. */
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
  const { source, ignored, dtype } = conversion;
  await checkNames(conversion);
  let progress: ReturnType<typeof startProgress> | undefined;
  await convertToSafetensors(source, target, {
    dtype,
    metadata: { format: "pt" },
    keep: (name) => !ignored.test(name),
    onProgress: ({ bytesWritten, bytesTotal }) => {
      progress ??= startProgress(`convert ${conversion.what} (MB)`, Math.ceil(bytesTotal / MEGABYTE));
      progress.update(Math.ceil(bytesWritten / MEGABYTE));
    },
  });
  progress?.stop();
}

async function checkNames({ source, shapes, ignored, what }: Conversion): Promise<void> {
  const file = await openCheckpoint(source);
  try {
    const names = new Set(file.names);
    const wanted = Object.entries(shapes);
    const problems = {
      missing: wanted.flatMap(([name, shape]) => (names.has(name) ? [] : [`"${name}" [${shape}]`])),
      unexpected: file.names.flatMap((name) =>
        Object.hasOwn(shapes, name) || ignored.test(name) ? [] : [`"${name}" [${file.info(name).shape}]`],
      ),
      "of another shape": wanted.flatMap(([name, shape]) => {
        const given = names.has(name) ? file.info(name).shape : shape;
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
