import { type ReferenceCase, referenceCases } from "@tensorar/testing";

interface MetricJson {
  /** Numbers that the original code returned, by metric. */
  readonly expected: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

export type MetricCase = ReferenceCase<MetricJson>;

/** Every case that holds Fréchet distances, by content and not by name. */
export const metricCases = (): MetricCase[] =>
  referenceCases<MetricJson>().filter(({ json }) => Object.values(json.expected ?? {}).some(isFrechet));

/** Whether expected numbers are of a Fréchet distance. */
export const isFrechet = (numbers: unknown): boolean =>
  typeof numbers === "object" && numbers !== null && "frechet_eigen_all_float64" in numbers;
