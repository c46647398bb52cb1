import { quote } from "./errors";

/** What a schema found wrong at one place, as Zod and other validators of the Standard Schema say it. */
export interface Issue {
  readonly path: readonly PropertyKey[];
  readonly message: string;
}

/** More would not help anyone, and a hostile file can have a million. */
const SHOWN = 3;
const LONGEST = 200;

/**
 * What is wrong with a value, in one line: `files["decoder.onnx"].inputs = 3: Invalid input: expected array`.
 *
 * @param value that was checked; what it holds at the place is shown where it is no object
 */
export function describeIssues(issues: readonly Issue[], value: unknown): string {
  const shown = issues.slice(0, SHOWN).map((issue) => describeIssue(issue, value));
  const more = issues.length - shown.length;
  return `${shown.join("; ")}${more > 0 ? `; and ${more} more` : ""}`;
}

function describeIssue({ path, message }: Issue, value: unknown): string {
  const text = message.replaceAll("\n", " ");
  const short = text.length <= LONGEST ? text : `${text.slice(0, LONGEST - 3)}...`;
  const found = path.reduce<unknown>(
    (at, key) => (at as Record<PropertyKey, unknown> | null | undefined)?.[key],
    value,
  );
  const place = path.map(nameOf).join("").replace(/^\./, "");
  if (typeof found === "object" && found !== null) return place === "" ? short : `${place}: ${short}`;
  return `${place === "" ? "it is" : `${place} =`} ${quote(found)}: ${short}`;
}

const nameOf = (key: PropertyKey): string => {
  if (typeof key === "number") return `[${key}]`;
  return /^[A-Za-z_$][\w$]{0,60}$/.test(String(key)) ? `.${String(key)}` : `[${quote(String(key))}]`;
};
