import { expectFinite, expectInteger, expectLength } from "./checks";
import { TensorARError } from "./errors";

/** A set of features, one row an image. */
export interface FeatureSet {
  /** `[count, dims]` */
  readonly data: Float32Array | Float64Array;
  readonly count: number;
  readonly dims: number;
}

/** @throws TensorARError where the sets have other widths, fewer than 2 rows, or values that are not finite */
export function checkPair(where: string, real: FeatureSet, fake: FeatureSet): void {
  for (const [name, { data, count, dims }] of Object.entries({ real, fake })) {
    expectInteger(where, `${name}.dims`, dims, 1, 2 ** 31);
    expectInteger(where, `${name}.count`, count, 2, 2 ** 31);
    expectLength(where, `${name}.data`, data.length, { count, dims });
    expectFinite(where, `${name}.data`, data, dims);
  }
  if (real.dims !== fake.dims) {
    const remedy = "compare features of one network";
    throw new TensorARError(`${where}: real has ${real.dims} features, fake has ${fake.dims}; ${remedy}`);
  }
}
