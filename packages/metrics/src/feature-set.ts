import { requireOptions, TensorARError } from "@tensorar/core";
import { expectFinite, expectInteger, expectLength } from "./checks";

/** A set of features, one row an image. */
export interface FeatureSet {
  /** `[count, dims]` */
  readonly data: Float32Array | Float64Array;
  readonly count: number;
  readonly dims: number;
}

/** @throws TensorARError where the sets have other widths, fewer than `fewest` rows, or values that are not finite */
export function checkPair(where: string, real: FeatureSet, fake: FeatureSet, fewest = 2): void {
  for (const [name, set] of Object.entries({ real, fake })) {
    requireOptions(where, set, ["data", "count", "dims"]);
    const { data, count, dims } = set;
    expectInteger(where, `${name}.dims`, dims, 1, 2 ** 31);
    expectInteger(where, `${name}.count`, count, fewest, 2 ** 31);
    expectLength(where, `${name}.data`, data.length, { count, dims });
    expectFinite(where, `${name}.data`, data, dims);
  }
  if (real.dims !== fake.dims) {
    const remedy = "compare features of one network";
    throw new TensorARError(`${where}: real has ${real.dims} features, fake has ${fake.dims}; ${remedy}`);
  }
}

/**
 * Features of consecutive parts as one set, in order.
 * @param most rows to keep at most, the first
 * @throws TensorARError where the parts have other widths
 */
export function mergeFeatures(parts: readonly FeatureSet[], most = Number.POSITIVE_INFINITY): FeatureSet {
  const [first] = parts;
  if (!first) throw new TensorARError("mergeFeatures: no parts; pass at least one");
  const { dims } = first;
  const count = Math.min(most, parts.reduce((sum, part) => sum + part.count, 0)); // biome-ignore format: one row
  const Values = parts.some(({ data }) => data instanceof Float64Array) ? Float64Array : Float32Array;
  const data = new Values(count * dims);
  let at = 0;
  for (const part of parts) {
    if (part.dims !== dims)
      throw new TensorARError(`mergeFeatures: ${part.dims} dims do not fit ${dims}; merge features of one network`);
    expectLength("mergeFeatures", "data", part.data.length, { count: part.count, dims });
    const held = part.data.subarray(0, Math.max(0, data.length - at));
    data.set(held, at);
    at += held.length;
  }
  return { data, count, dims };
}
