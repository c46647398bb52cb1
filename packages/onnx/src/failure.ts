import { TensorARError } from "@tensorar/core";
import { fitDim, formatDim, type Samples, sampleSizes } from "./dims";

/** A recording that went wrong, or one that did not. */
export interface Attempt {
  readonly error?: unknown;
}

/**
 * One error for those of the recordings at several sizes. Numbers in its message that change with the sizes become formulas
 * of their names, just as sizes in the graph would have.
 */
export function unifiedError(attempts: readonly Attempt[], names: readonly string[], samples: Samples): unknown {
  const index = attempts.findIndex((attempt) => "error" in attempt);
  const { error: first } = attempts[index]!;
  if (attempts.length === 1 || !(first instanceof Error)) return first;
  const messages = attempts.map(({ error }) => (error instanceof Error ? error.message : undefined));
  if (messages.every((message) => message === first.message)) return first;
  const message = formulas(messages, names, samples) ?? withNames(first.message, names, sampleSizes(samples, index));
  const sometimes = messages.includes(undefined)
    ? `; it goes wrong for some sizes of ${names.map((name) => `"${name}"`).join(" and ")} only`
    : "";
  return new TensorARError(message + sometimes, {
    ...(first instanceof TensorARError && { code: first.code }),
    cause: first,
  });
}

const NUMBERS = /(\d+)/;

/** The message with a formula for each number; undefined where the messages differ in more, or no formula fits. */
function formulas(
  messages: readonly (string | undefined)[],
  names: readonly string[],
  samples: Samples,
): string | undefined {
  const rows = messages.map((message) => message?.split(NUMBERS)); // what split captures is every second part
  const [first] = rows;
  if (!first || rows.some((row) => row?.length !== first.length)) return undefined;
  const parts = first.map((part, i) => {
    const each = rows.map((row) => row![i]!);
    if (i % 2 === 0) return each.every((other) => other === part) ? part : undefined;
    const dim = fitDim(each.map(Number), samples);
    return dim === undefined ? undefined : typeof dim === "number" ? part : formatDim(dim, names);
  });
  return parts.includes(undefined) ? undefined : parts.join("");
}

/** The message of one recording, with a name for each number that is a size of its. */
function withNames(message: string, names: readonly string[], sizes: readonly number[]): string {
  return message
    .split(NUMBERS)
    .map((part, i) => (i % 2 === 1 ? (names[sizes.indexOf(Number(part))] ?? part) : part))
    .join("");
}
