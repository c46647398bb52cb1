/**
 * Compares names, or paths with "/": runs of the digits 0 … 9 by their value, so that "2" comes before "10"; everything else
 * by code unit, as torchvision's ImageFolder does; what a folder holds stays together. Names that differ only in leading
 * zeros follow their code units, so no two names are equal. `Intl.Collator` would order by the rules of a language, which
 * change with the version of ICU; labels must be the same on every machine.
 */
export function byName(a: string, b: string): number {
  const [left, right] = [tokens(a), tokens(b)];
  const shared = Math.min(left.length, right.length);
  for (let i = 0; i < shared; i++) {
    const order = compareTokens(left[i]!, right[i]!);
    if (order !== 0) return order;
  }
  return left.length - right.length || compareText(a, b);
}

/** Runs of digits, and all other code units one by one; "/" sorts before every other. */
const tokens = (name: string): readonly string[] => name.replaceAll("/", "\0").match(/[0-9]+|[^0-9]/g) ?? [];

const isNumber = (token: string): boolean => token >= "0" && token < ":";

function compareTokens(a: string, b: string): number {
  if (!isNumber(a) || !isNumber(b)) return compareText(a, b);
  const [left, right] = [a.replace(/^0+/, ""), b.replace(/^0+/, "")]; // numbers of any length: no conversion loses digits
  return left.length - right.length || compareText(left, right);
}

const compareText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
