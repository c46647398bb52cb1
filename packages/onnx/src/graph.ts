import { broadcastShape, type Dim, type Polynomial, type Shape } from "./dims";

/** The graph the kernels record and the passes rewrite: ONNX operators, in an order in which they can run. */

export type ElementType = "float32" | "float16" | "int32" | "uint8" | "bool" | "int64" | "float64";
/** float16 is held as its bits. */
export type TypedArray = Float32Array | Uint16Array | Int32Array | Uint8Array | Float64Array;

/** A number that may depend on the symbolic dimensions: the value is `of`, or `1 / of`. */
export interface SymbolicScalar {
  readonly of: Polynomial;
  readonly reciprocal: boolean;
}

/** What a constant holds. Its shape and type are those of the `Value`. */
export type Literal =
  | { readonly kind: "data"; readonly data: TypedArray }
  | { readonly kind: "fill"; readonly value: number | SymbolicScalar }
  /** int64 vector of sizes, starts, repetitions, … */
  | { readonly kind: "dims"; readonly entries: Shape }
  /** start, start + step, … along one dimension */
  | { readonly kind: "range"; readonly start: Dim; readonly step: number };

export type Source =
  | { readonly kind: "input"; readonly name: string }
  | { readonly kind: "weight"; readonly name: string; readonly data: TypedArray }
  | { readonly kind: "constant"; readonly literal: Literal }
  | { readonly kind: "node"; readonly node: Node; readonly index: number };

export interface Value {
  readonly dtype: ElementType;
  readonly shape: Shape;
  readonly source: Source;
}

/** Where a node comes from, for messages: the tfjs kernel, and an error made there for its stack. */
export interface Origin {
  readonly kernel: string;
  readonly stack?: Error;
}

export type Attributes = Readonly<Record<string, number | readonly number[] | string>>;

export interface Node {
  readonly op: string;
  readonly inputs: readonly (Value | undefined)[];
  readonly attributes: Attributes;
  readonly outputs: readonly Value[];
  readonly origin: Origin;
}

export interface Graph {
  /** Names of the symbolic dimensions, and for each where to read it: axis of an input. */
  readonly dimensions: readonly { readonly name: string; readonly input: string; readonly axis: number }[];
  readonly inputs: readonly Value[];
  readonly nodes: readonly Node[];
  readonly outputs: readonly { readonly name: string; readonly value: Value }[];
}

export interface Type {
  readonly dtype: ElementType;
  readonly shape: Shape;
}

export const constant = (dtype: ElementType, shape: Shape, literal: Literal): Value => ({
  dtype,
  shape,
  source: { kind: "constant", literal },
});
export const dims = (entries: Shape): Value => constant("int64", [entries.length], { kind: "dims", entries });
export const fill = (dtype: ElementType, shape: Shape, value: number): Value =>
  constant(dtype, shape, { kind: "fill", value });
export const scalar = (dtype: ElementType, value: number): Value => fill(dtype, [], value);

export function literalOf(value: Value | undefined): Literal | undefined {
  return value?.source.kind === "constant" ? value.source.literal : undefined;
}
export function nodeOf(value: Value | undefined, op?: string): Node | undefined {
  if (value?.source.kind !== "node") return undefined;
  return op === undefined || value.source.node.op === op ? value.source.node : undefined;
}
/** The number every element of a constant has, if there is one. */
export function fillOf(value: Value | undefined): number | undefined {
  const literal = literalOf(value);
  return literal?.kind === "fill" && typeof literal.value === "number" ? literal.value : undefined;
}
/** The entries of a vector of sizes. */
export function dimsOf(value: Value | undefined): Shape | undefined {
  const literal = literalOf(value);
  return literal?.kind === "dims" ? literal.entries : undefined;
}

export function makeNode(
  op: string,
  inputs: readonly (Value | undefined)[],
  outputs: readonly Type[],
  attributes: Attributes,
  origin: Origin,
): Node {
  const node: Node = { op, inputs, attributes, outputs: [], origin };
  const values = outputs.map(
    ({ dtype, shape }, index): Value => ({ dtype, shape, source: { kind: "node", node, index } }),
  );
  return Object.assign(node, { outputs: values });
}

/** Appends nodes; each method returns the value it computes. Shapes follow ONNX's rules. */
export class Builder {
  readonly nodes: Node[] = [];
  origin: Origin = { kernel: "" };

  emit(
    op: string,
    inputs: readonly (Value | undefined)[],
    outputs: readonly Type[],
    attributes: Attributes = {},
  ): readonly Value[] {
    const node = makeNode(op, inputs, outputs, attributes, this.origin);
    this.nodes.push(node);
    return node.outputs;
  }
  /** One output of the given type. */
  op(op: string, inputs: readonly (Value | undefined)[], type: Type, attributes: Attributes = {}): Value {
    return this.emit(op, inputs, [type], attributes)[0] as Value;
  }
  unary(op: string, x: Value, attributes: Attributes = {}): Value {
    return this.op(op, [x], x, attributes);
  }
  /** Element-wise with broadcasting; the result has the type of the first operand unless `dtype` is given. */
  binary(op: string, a: Value, b: Value, dtype: ElementType = a.dtype): Value {
    return this.op(op, [a, b], { dtype, shape: broadcastShape(a.shape, b.shape) });
  }
  compare(op: string, a: Value, b: Value): Value {
    return this.binary(op, a, b, "bool");
  }
  where(condition: Value, a: Value, b: Value): Value {
    return this.op("Where", [condition, a, b], {
      dtype: a.dtype,
      shape: broadcastShape(condition.shape, a.shape, b.shape),
    });
  }
  cast(x: Value, dtype: ElementType): Value {
    return x.dtype === dtype ? x : this.op("Cast", [x], { dtype, shape: x.shape }, { to: ONNX_TYPES[dtype] });
  }
  reshape(x: Value, shape: Shape): Value {
    return this.op("Reshape", [x, dims(shape)], { dtype: x.dtype, shape });
  }
  transpose(x: Value, perm: readonly number[]): Value {
    return this.op("Transpose", [x], { dtype: x.dtype, shape: perm.map((axis) => x.shape[axis] as Dim) }, { perm });
  }
  expand(x: Value, shape: Shape): Value {
    return this.op("Expand", [x, dims(shape)], { dtype: x.dtype, shape });
  }
  slice(x: Value, begin: readonly number[], size: readonly number[], steps?: readonly number[]): Value {
    const axes = begin
      .map((_, axis) => axis)
      .filter((axis) => (steps?.[axis] ?? 1) !== 1 || size[axis] !== x.shape[axis]);
    if (axes.length === 0) return x;
    const ends = axes.map((axis) => sliceEnd(begin[axis]!, size[axis]!, steps?.[axis] ?? 1, x.shape[axis] as number));
    return this.op(
      "Slice",
      [x, dims(axes.map((axis) => begin[axis]!)), dims(ends), dims(axes), dims(axes.map((axis) => steps?.[axis] ?? 1))],
      { dtype: x.dtype, shape: size },
    );
  }
  concat(xs: readonly Value[], axis: number, shape: Shape): Value {
    return this.op("Concat", xs, { dtype: xs[0]!.dtype, shape }, { axis });
  }
  gather(x: Value, indices: Value, axis: number): Value {
    const shape = [...x.shape.slice(0, axis), ...indices.shape, ...x.shape.slice(axis + 1)];
    return this.op("Gather", [x, indices], { dtype: x.dtype, shape }, { axis });
  }
  /** ReduceSum, ReduceMax, …; axes are non-negative. */
  reduce(op: string, x: Value, axes: readonly number[], keepDims = false): Value {
    const shape = x.shape.flatMap((dim, axis) => (!axes.includes(axis) ? [dim] : keepDims ? [1] : []));
    return this.op(op, [x, dims(axes)], { dtype: x.dtype, shape }, { keepdims: keepDims ? 1 : 0 });
  }
  matMul(a: Value, b: Value): Value {
    const shape = [...broadcastShape(a.shape.slice(0, -2), b.shape.slice(0, -2)), a.shape.at(-2)!, b.shape.at(-1)!];
    return this.op("MatMul", [a, b], { dtype: a.dtype, shape });
  }
}

/** Numbers of `TensorProto.DataType`. */
export const ONNX_TYPES: Readonly<Record<ElementType, number>> = {
  float32: 1,
  float16: 10,
  uint8: 2,
  int32: 6,
  int64: 7,
  bool: 9,
  float64: 11,
};

/** "To the end" is written as the largest number, so that it holds for every size of a symbolic dimension. */
const TO_THE_END = 2 ** 31 - 1;
function sliceEnd(begin: number, size: number, step: number, length: number): number {
  const end = begin + size * step;
  if (step > 0) return end >= length ? TO_THE_END : end;
  return end < 0 ? -TO_THE_END : end;
}
