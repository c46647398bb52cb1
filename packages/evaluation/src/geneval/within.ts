import { TensorARError } from "@tensorar/core";

/** Does something with what a file describes, and names the file where that fails. */
export async function within<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    if (!(cause instanceof TensorARError)) throw cause;
    throw new TensorARError(`${path}: ${(cause as Error).message}`, { cause });
  }
}
