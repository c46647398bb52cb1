import { readFile, stat } from "node:fs/promises";
import { TensorARError } from "@tensorar/core";
import { fileError } from "@tensorar/core/node";
import { type ImageLimits, MIB } from "../limits";

/**
 * The bytes of an image file. A pipe or device is not opened, since reading one may never end.
 * @throws TensorARError when it is missing, no file, or larger than the limit
 */
export async function readImageFile(
  path: string,
  { maxFileBytes }: Pick<ImageLimits, "maxFileBytes">,
): Promise<Uint8Array> {
  const found = await stat(path).catch((cause) => {
    throw fileError("read", path, cause);
  });
  if (!found.isFile()) throw new TensorARError(`${path} is no file; give the path of an image`);
  if (found.size > maxFileBytes) throw tooLarge(path, found.size, maxFileBytes);
  return readFile(path).catch((cause) => {
    throw fileError("read", path, cause);
  });
}

/** The error for an image file, on the disk or in an archive, that is larger than the limit. */
export const tooLarge = (where: string, bytes: number, maxFileBytes: number): TensorARError =>
  new TensorARError(
    `${where}: ${Math.ceil(bytes / MIB)} MiB is more than an image file may have (${maxFileBytes / MIB} MiB); raise --max-file-mib`,
    { code: "limit" },
  );
