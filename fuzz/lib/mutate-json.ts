import type { Random } from "./random";

/** Stands for the new text of a value, which JSON.stringify could not write. */
const MARK = "\ue000fuzz\ue000";

const DEEP = 100_000;
const MANY = 100_000;
const MOST_CHARACTERS = 50_000;

/** Values in place of another, as JSON text. */
const VALUES: readonly (() => string)[] = [
  ...["null", "true", "false", "0", "-1", "1", "0.5", "1e308", "1e400", "-0", "2147483648", "4294967296"],
  ...[
    "9007199254740993",
    "1e15",
    "1e9",
    "1000000",
    '""',
    '"text"',
    '"../../x"',
    '"\\u0000"',
    '"\\ud800"',
    '"NaN"',
    '"1"',
  ],
  ...["[]", "{}", "[[]]", "[null]", "[-1]", '{"__proto__": {"length": 1}}', '{"length": 1}', '{"constructor": 1}'],
].map((text) => () => text);
const LARGE: readonly (() => string)[] = [
  () => `${"[".repeat(DEEP)}${"]".repeat(DEEP)}`,
  () => `${'{"a":'.repeat(DEEP)}1${"}".repeat(DEEP)}`,
  () => `[${"1,".repeat(MANY)}1]`,
  () => `"${"x".repeat(MANY)}"`,
];

type Container = Record<string, unknown> | unknown[];
const isContainer = (value: unknown): value is Container => typeof value === "object" && value !== null;

/** Every container of a value with each of its keys. */
function placesIn(value: unknown, found: [Container, string][] = []): [Container, string][] {
  if (!isContainer(value)) return found;
  for (const key of Object.keys(value)) {
    found.push([value, key]);
    placesIn((value as Record<string, unknown>)[key], found);
  }
  return found;
}

/** JSON with one value, key or item changed; undefined where the text is no JSON, or a large one. */
export function mutateJson(text: string, random: Random): string | undefined {
  if (text.length > MOST_CHARACTERS) return undefined; // one of these changes was made before
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  const replacement = newValue(random);
  const places = placesIn(value);
  if (places.length === 0 || random.oneIn(20)) return replacement(value);
  const [container, key] = random.pick(places);
  const record = container as Record<string, unknown>;
  const old = record[key];
  switch (random.below(6)) {
    case 0:
      if (Array.isArray(container)) container.splice(Number(key), 1);
      else delete record[key];
      return JSON.stringify(value);
    case 1:
      if (Array.isArray(container)) container.push(...new Array<unknown>(random.pick([1, 2, 1000])).fill(old));
      else record[random.pick([`${key}x`, "", "__proto__x", "extra"])] = old;
      return JSON.stringify(value);
    case 2: {
      const [, other] = random.pick(places.filter(([each]) => each === container));
      [record[key], record[other]] = [record[other], record[key]];
      return JSON.stringify(value);
    }
    default:
      record[key] = MARK;
      return JSON.stringify(value).replace(`"${MARK}"`, () => replacement(old));
  }
}

/** Chooses what becomes of a value. */
function newValue(random: Random): (old: unknown) => string {
  if (random.oneIn(15)) return random.pick(LARGE);
  if (random.oneIn(2)) return random.pick(VALUES);
  const factor = random.pick([-1, 2, 10, 0.5, 1e6]);
  const shift = random.pick([1, -1]);
  return (old) => {
    if (typeof old === "number") return String(shift === 1 ? old * factor : old + shift);
    if (typeof old === "string") return JSON.stringify(shift === 1 ? `${old}x` : old.slice(1));
    return `[${JSON.stringify(old) ?? "null"}]`;
  };
}
