import type { z } from "zod";
import type { Setting } from "./kinds";

/** What is asked of another setting: that it is on, or off, has one of some values, or is at least so large. */
export type Asked = boolean | readonly string[] | { readonly least: number };

/** What is asked of others, by their keys; one of them is enough. */
export type Condition = Readonly<Record<string, Asked>>;

/**
 * Settings without effect unless another one is on, has one of some values, or is large enough: help says so, and they are refused
 * where they are given without it.
 *
 * @param condition by the key of the other setting; of several, one is enough. Conditions of an outer call hold as well
 */
export function onlyWith<Shape extends Readonly<Record<string, z.ZodType>>>(condition: Condition, shape: Shape): Shape {
  const entries = Object.entries(shape).map(([key, schema]) => {
    const inner = schema.meta()?.onlyWith as readonly Condition[] | undefined;
    return [key, schema.meta({ ...schema.meta(), onlyWith: [...(inner ?? []), condition] })];
  });
  return Object.fromEntries(entries) as Shape;
}

/** That a setting has no effect, and why; undefined where it has one. */
export function idleReason(
  setting: Setting,
  values: Readonly<Record<string, unknown>>,
  settings: readonly Setting[],
): string | undefined {
  const found = setting.onlyWith.find((condition) => !holds(condition, values));
  if (found === undefined) return undefined;
  const flags = inFlags(found, settings);
  return isOff(found)
    ? `has no effect with ${flags}; leave one of them out`
    : `has no effect without ${flags}; give both, or leave it out`;
}

/** What help says first of a setting: the condition that the defaults do not meet. */
export function conditionText(setting: Setting, settings: readonly Setting[]): string {
  const usual = Object.fromEntries(settings.map((each) => [each.key, each.usual]));
  const found = setting.onlyWith.find((condition) => !holds(condition, usual));
  return found === undefined ? "" : `${isOff(found) ? "without" : "with"} ${inFlags(found, settings)}: `;
}

const isOff = (condition: Condition): boolean => Object.values(condition).every((asked) => asked === false);

const holds = (condition: Condition, values: Readonly<Record<string, unknown>>): boolean =>
  Object.entries(condition).some(([key, asked]) => isAsFor(values[key], asked));

function isAsFor(value: unknown, asked: Asked): boolean {
  if (typeof asked === "boolean")
    return asked === (value !== undefined && value !== false && value !== 0 && !isEmpty(value));
  if ("least" in asked) return typeof value === "number" && value >= asked.least;
  return typeof value === "string" && asked.includes(value);
}

const isEmpty = (value: unknown): boolean => Array.isArray(value) && value.length === 0;

/** `--drafts raw or renoise`, `--lpips or --classifier`. */
const inFlags = (condition: Condition, settings: readonly Setting[]): string =>
  Object.entries(condition)
    .map(([key, asked]) => {
      const flag = `--${settings.find((setting) => setting.key === key)!.flag}`;
      if (typeof asked === "boolean") return flag;
      return `${flag} ${"least" in asked ? `${asked.least} or more` : asked.join(" or ")}`;
    })
    .join(" or ");
