import type { Tolerance } from "@tensorar/testing";

/** Absolute for small numbers, relative for large ones. */
export const within = (tolerance: number): Tolerance => ({ atol: tolerance, rtol: tolerance });
