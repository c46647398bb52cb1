import { quote, TensorARError } from "@tensorar/core";

/** What the value of a key must be. */
interface Rule {
  readonly holds: (value: unknown) => boolean;
  readonly remedy: string;
}

export const isPositiveInteger = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) > 0;

export const positiveInteger: Rule = { holds: isPositiveInteger, remedy: "use a positive integer" };

export const nonNegative: Rule = {
  holds: (value) => Number.isFinite(value) && (value as number) >= 0,
  remedy: "use a number >= 0",
};

export const flag: Rule = { holds: (value) => typeof value === "boolean", remedy: "use true or false" };

/** Counts that code loops over are limited far above any tokenizer that there is: larger ones are damage or an attack. */
const MOST_BLOCKS = 1024;
const MOST_LEVELS = 16;

export const blocks: Rule = {
  holds: (value) => isPositiveInteger(value) && (value as number) <= MOST_BLOCKS,
  remedy: `use a positive integer of at most ${MOST_BLOCKS}`,
};

export const multipliers: Rule = {
  holds: (value) =>
    Array.isArray(value) && value.length > 0 && value.length <= MOST_LEVELS && value.every(isPositiveInteger),
  remedy: `use a list of positive integers, one for each level, at most ${MOST_LEVELS}`,
};

/** Groups of every GroupNorm, as in the originals. */
export const NORM_GROUPS = 32;

export const baseWidth: Rule = {
  holds: (value) => isPositiveInteger(value) && (value as number) % NORM_GROUPS === 0,
  remedy: `GroupNorm has ${NORM_GROUPS} groups; use a multiple of ${NORM_GROUPS}`,
};

export const only = (value: unknown, remedy: string): Rule => ({ holds: (given) => given === value, remedy });

/**
 * Checks a configuration key by key.
 * @param kind of configuration, for the message
 * @throws TensorARError naming the first key that is wrong, its value and what would be right
 */
export function checkKeys<C extends object>(kind: string, config: C, rules: { readonly [K in keyof C]-?: Rule }): void {
  for (const key of Object.keys(rules) as (keyof C & string)[]) {
    const { holds, remedy } = rules[key];
    if (!holds(config[key])) {
      throw new TensorARError(`${kind} config: ${key} = ${quote(config[key])}: ${remedy}`);
    }
  }
}
