import { hashPosition, type Split } from "@tensorar/data";

/**
 * What all drawings of an icon are for, by a hash of its name alone, so that its styles stay together: a model that trained on one of
 * them has half seen the others.
 *
 * @param heldOutShare of the names, in (0, 1): half for validation, half for the test
 */
export function splitOfName(name: string, heldOutShare: number): Split {
  const position = hashPosition(name);
  if (position >= heldOutShare) return "train";
  return position < heldOutShare / 2 ? "validation" : "test";
}
