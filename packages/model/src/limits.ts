import { quote, TensorARError } from "@tensorar/core";

/** Far beyond any model that there is; a config with more is damaged or hostile, and would be looped over for hours. */
export const MOST_LAYERS = 1024;
/** Heads have 64 or 128; tables of rotary embeddings grow with it. */
export const MOST_HEAD_WIDTH = 4096;
/** An image of 256 x 256 tokens. */
export const MOST_TOKENS = 2 ** 16;

/**
 * Checks counts of a config that code loops over, before it does.
 * @throws TensorARError of code `limit`
 */
export function expectBelow(where: string, counts: Readonly<Record<string, number>>, most: number): void {
  for (const [key, value] of Object.entries(counts))
    if (value > most)
      throw new TensorARError(`${where}: ${key} = ${quote(value)}; at most ${most} is supported`, { code: "limit" });
}
