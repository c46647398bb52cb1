import { quote } from "@tensorar/core";
import type { TextLosses } from "./text-encoder";

const LISTED = 8;

/**
 * What to tell a user about texts that are not read as they stand: a line for each kind of loss, none where there is none.
 * @param maxLength T of the encoder
 */
export function encodingNotes({ empty, truncated, unknown }: TextLosses, maxLength: number): string[] {
  const notes: string[] = [];
  const named = (text: number) => `text ${text + 1}`;
  if (empty.length > 0)
    notes.push(
      `${counted(empty, "has", "have")} no words, which makes images unconditional: ${listed(empty.map(named))}`,
    );
  if (truncated.length > 0) {
    const each = truncated.map(({ text, tokens }) => `${named(text)} has ${tokens}`);
    notes.push(`${counted(truncated, "is", "are")} cut to the first ${maxLength} tokens: ${listed(each)}`);
  }
  if (unknown.length > 0) {
    const words = [...new Set(unknown.flatMap((each) => each.words))].map(quote);
    notes.push(`${counted(unknown, "has", "have")} words that the text encoder does not know: ${listed(words)}`);
  }
  return notes;
}

const counted = ({ length }: readonly unknown[], one: string, several: string): string =>
  length === 1 ? `1 text ${one}` : `${length} texts ${several}`;

const listed = (all: readonly string[]): string =>
  all.slice(0, LISTED).join(", ") + (all.length > LISTED ? `, and ${all.length - LISTED} more` : "");
