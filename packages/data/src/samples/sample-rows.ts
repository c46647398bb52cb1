import type { TensorRecord } from "@tensorar/checkpoint";
import type { SamplesDescription } from "./samples-manifest";

/** Some samples in a row. */
export interface SampleRows {
  /** uint8 [n, S, S, 3] */
  readonly images: Uint8Array;
  /** [n] indices into the classes */
  readonly labels: Int32Array;
  /** [n, T] */
  readonly codes: Int32Array;
  /** [n, T, k]: the draft of position p at depth j, first to final; PAD where there was none */
  readonly trace: Int32Array;
}

export type RowShape = Pick<SamplesDescription, "imageSize" | "windowSize" | "grid">;

/** Type and shape of each tensor of `count` samples. */
export function rowShapes({ imageSize: S, windowSize: k, grid }: RowShape, count: number) {
  const T = grid[0] * grid[1];
  return {
    images: { dtype: "uint8", shape: [count, S, S, 3] },
    labels: { dtype: "int32", shape: [count] },
    codes: { dtype: "int32", shape: [count, T] },
    trace: { dtype: "int32", shape: [count, T, k] },
  } as const;
}

const NAMES = ["images", "labels", "codes", "trace"] as const;

const elements = (shape: readonly number[]): number => shape.reduce((a, b) => a * b);

/** Room for `count` samples. */
export function emptyRows(shape: RowShape, count: number): SampleRows {
  const { images, labels, codes, trace } = rowShapes(shape, count);
  return {
    images: new Uint8Array(elements(images.shape)),
    labels: new Int32Array(elements(labels.shape)),
    codes: new Int32Array(elements(codes.shape)),
    trace: new Int32Array(elements(trace.shape)),
  };
}

/** Copies `count` samples, from sample `from` of the source to sample `at` of the target. */
export function copyRows(
  shape: RowShape,
  source: SampleRows,
  from: number,
  target: SampleRows,
  at: number,
  count: number,
): void {
  const [given, place] = [sliceOf(shape, source, from, count), sliceOf(shape, target, at, count)];
  for (const name of NAMES) place[name].set(given[name]);
}

/** As tensors to store. */
export function rowTensors(shape: RowShape, rows: SampleRows, count: number): TensorRecord {
  const shapes = rowShapes(shape, count);
  return {
    images: { ...shapes.images, data: rows.images },
    labels: { ...shapes.labels, data: rows.labels },
    codes: { ...shapes.codes, data: rows.codes },
    trace: { ...shapes.trace, data: rows.trace },
  };
}

/** Samples `first` … `first + count - 1`, as views. */
export function sliceOf(shape: RowShape, rows: SampleRows, first: number, count: number): SampleRows {
  const widths = rowShapes(shape, 1);
  const part = <Data extends Uint8Array | Int32Array>(name: (typeof NAMES)[number], data: Data): Data => {
    const width = elements(widths[name].shape);
    return data.subarray(first * width, (first + count) * width) as Data;
  };
  return {
    images: part("images", rows.images),
    labels: part("labels", rows.labels),
    codes: part("codes", rows.codes),
    trace: part("trace", rows.trace),
  };
}
