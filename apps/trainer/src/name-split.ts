import { hashPosition, type Split } from "@tensorar/data";

/**
 * What all drawings of an icon are for, by a hash of its name alone, so that its styles stay together: a model that trained on one of
 * them has half seen the others.
 *
 * @param heldOutFraction of the names, in (0, 1): half for validation, half for the test
 */
export function splitOfName(name: string, heldOutFraction: number): Split {
  const position = hashPosition(name);
  if (position >= heldOutFraction) return "train";
  return position < heldOutFraction / 2 ? "validation" : "test";
}
