import { InvalidArgumentError } from "commander";

// How the command line reads numbers; commander prints what is wrong with them.

export const wholeNumber =
  (least: number) =>
  (text: string): number => {
    const value = Number(text);
    if (text.trim() === "" || !Number.isSafeInteger(value) || value < least)
      throw new InvalidArgumentError(`must be a whole number from ${least} on`);
    return value;
  };

export const share = (text: string): number => {
  const value = Number(text);
  if (!(value > 0 && value <= 1)) throw new InvalidArgumentError("must be more than 0 and at most 1");
  return value;
};

export const positiveNumber = (text: string): number => {
  const value = Number(text);
  if (!(value > 0 && Number.isFinite(value))) throw new InvalidArgumentError("must be a positive number");
  return value;
};

export const positive = wholeNumber(1);

export const listOf =
  (parse: (text: string) => number) =>
  (text: string, before: readonly number[] = []): number[] => [...before, parse(text)];
export const several = listOf(positive);
