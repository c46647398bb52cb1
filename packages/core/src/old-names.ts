/**
 * A record as today's files have it: keys that an earlier version wrote are under their names of today. Anything else is returned
 * as it is.
 *
 * @param names today's name by the earlier one
 */
export const underTodaysNames =
  (names: Readonly<Record<string, string>>) =>
  (value: unknown): unknown =>
    typeof value === "object" && value !== null && !Array.isArray(value)
      ? Object.fromEntries(
          Object.entries(value).map(([key, each]) => [Object.hasOwn(names, key) ? names[key]! : key, each]),
        )
      : value;
