import { TensorARError } from "@tensorar/core";

/** The system's refusal as a message for the user, about the path that the user knows and not a temporary one. */
export const writing = async (path: string, work: Promise<unknown>): Promise<void> => {
  try {
    await work;
  } catch (error) {
    const cause = error instanceof TensorARError && error.code === "io" ? error.cause : error;
    const { code, message } = cause as NodeJS.ErrnoException;
    if (cause instanceof TensorARError || typeof code !== "string") throw error; // a DOMException has a number
    const remedy = code === "ENOSPC" ? "the disk is full; free space, or use another disk" : "choose another folder";
    throw new TensorARError(`cannot write "${path}": ${message}; ${remedy}`, { cause, code: "io" });
  }
};
