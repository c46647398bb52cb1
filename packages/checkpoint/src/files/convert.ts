import { type DType, TensorARError } from "@tensorar/core";
import { replaceFile } from "@tensorar/core/node";
import { castTensor, type FloatDType } from "../cast";
import { expectReadable, type OpenOptions, type TensorInfo } from "../checkpoint-file";
import { planFile } from "../safetensors/layout";
import { bytesOf } from "../tensor";
import { openCheckpoint } from "./checkpoint";

/** What becomes of the tensors on their way to safetensors. */
export interface ConvertOptions extends OpenOptions {
  /** Type of all floating-point tensors; integers and bool stay. Default: as they are. */
  readonly dtype?: FloatDType | undefined;
  /** Which tensors to write; default: all. */
  readonly keep?: ((name: string) => boolean) | undefined;
  /** New names; default: the old ones. */
  readonly rename?: ((name: string) => string) | undefined;
  /** Free text by name for the header; default: the source's. */
  readonly metadata?: Readonly<Record<string, string>> | undefined;
  /** Called after every piece, at most 16 MB apart for ordinary tensors. */
  readonly onProgress?: ((progress: ConvertProgress) => void) | undefined;
}

/** How much of a conversion is done. */
export interface ConvertProgress {
  /** The tensor that is being written. */
  readonly name: string;
  readonly bytesWritten: number;
  /** Size of the new file. */
  readonly bytesTotal: number;
}

/**
 * Writes any checkpoint (see `openCheckpoint`) as a safetensors file, atomically, piece by piece: memory does not grow
 * with the file. `target` may be the source itself.
 *
 * @returns what the new file holds
 * @throws TensorARError as opening and writing do; an old target is then as it was
 */
export async function convertToSafetensors(
  source: string,
  target: string,
  options: ConvertOptions = {},
): Promise<{ readonly tensors: number; readonly bytes: number }> {
  const file = await openCheckpoint(source, options);
  try {
    const kept = file.names.filter((name) => options.keep?.(name) ?? true);
    expectReadable(file, kept);
    const sources = new Map(kept.map((name) => [options.rename?.(name) ?? name, name]));
    if (sources.size < kept.length)
      throw new TensorARError(`${source}: ${kept.length} tensors, but ${sources.size} different new names; rename all`);
    const infos = new Map([...sources].map(([name, old]) => [name, castInfo(file.info(old), options.dtype)]));
    const { head, names, fileBytes } = planFile(infos, options.metadata ?? file.metadata);
    let bytesWritten = head.byteLength;
    await replaceFile(target, async (put) => {
      await put(head);
      for (const name of names) {
        const { dtype } = infos.get(name)!;
        for await (const piece of file.stream(sources.get(name)!)) {
          const cast = piece.dtype === dtype ? piece : castTensor(piece, dtype as FloatDType);
          await put(bytesOf(cast));
          bytesWritten += cast.data.byteLength;
          options.onProgress?.({ name, bytesWritten, bytesTotal: fileBytes });
        }
      }
    });
    return { tensors: names.length, bytes: fileBytes };
  } finally {
    await file.close();
  }
}

const FLOATS: readonly DType[] = ["float64", "float32", "float16", "bfloat16"];

const castInfo = ({ dtype, shape }: TensorInfo, wanted: FloatDType | undefined): TensorInfo => ({
  dtype: wanted !== undefined && FLOATS.includes(dtype) ? wanted : dtype,
  shape,
});
