import { TensorARError } from "@tensorar/core";

/** The system's refusal as a message for the user. */
export const writing = async (path: string, work: Promise<unknown>): Promise<void> => {
  try {
    await work;
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    if (code === undefined) throw cause;
    const remedy = code === "ENOSPC" ? "the disk is full; free space, or use another disk" : "choose another folder";
    throw new TensorARError(`cannot write "${path}": ${message}; ${remedy}`, { cause });
  }
};
