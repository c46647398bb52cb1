import { broadcastShape, type Shape, sameShape } from "../dims";
import {
  type Builder,
  constant,
  fill,
  fillOf,
  type Graph,
  literalOf,
  type Node,
  nodeOf,
  scalar,
  type Value,
} from "../graph";
import { rewrite } from "./rewrite";

/** Local rewrites that leave the results as they are, up to the last bits of a float where constants are merged. */
export function simplify(graph: Graph): Graph {
  return rewrite(graph, (node, g) => {
    const rules = RULES[node.op];
    for (const rule of rules ?? []) {
      const value = rule(node, g);
      if (value) return [value];
    }
    return undefined;
  });
}

/** Returns what to use instead of the node's only output, or undefined when the rule doesn't apply. */
type Simplification = (node: Node, g: Builder) => Value | undefined;

const output = (node: Node): Value => node.outputs[0]!;
const input = (node: Node, index = 0): Value => node.inputs[index]!;

/** A reshape of a reshape, or to the shape it has already. */
const reshape: Simplification = (node, g) => {
  const [x, { shape }] = [input(node), output(node)];
  if (sameShape(x.shape, shape)) return x;
  const fillValue = literalOf(x);
  if (fillValue?.kind === "fill") return constant(x.dtype, shape, fillValue);
  const inner = nodeOf(x, "Reshape");
  return inner && g.reshape(input(inner), shape);
};

/** Two in a row are one; one that only moves sizes of 1 is a reshape. */
const transpose: Simplification = (node, g) => {
  const [x, perm] = [input(node), node.attributes.perm as readonly number[]];
  if (perm.every((axis, i) => axis === i)) return x;
  const inner = nodeOf(x, "Transpose");
  if (inner) {
    const before = inner.attributes.perm as readonly number[];
    return g.transpose(
      input(inner),
      perm.map((axis) => before[axis]!),
    );
  }
  const moved = perm.filter((axis) => x.shape[axis] !== 1);
  return moved.every((axis, i) => i === 0 || axis > moved[i - 1]!) ? g.reshape(x, output(node).shape) : undefined;
};

const expand: Simplification = (node, g) => {
  const [x, { shape }] = [input(node), output(node)];
  if (sameShape(x.shape, shape)) return x;
  const literal = literalOf(x);
  if (literal?.kind === "fill") return constant(x.dtype, shape, literal);
  const inner = nodeOf(x, "Expand");
  return inner && g.expand(input(inner), shape);
};

const cast: Simplification = (node) => {
  const [x, { dtype, shape }] = [input(node), output(node)];
  if (x.dtype === dtype) return x;
  const value = fillOf(x);
  if (value === undefined || (dtype !== "float32" && !Number.isInteger(value))) return undefined;
  return fill(dtype, shape, dtype === "bool" ? Number(value !== 0) : value);
};

/** Operands that are only broadcast copies of something smaller are used as they are, where the result's shape allows. */
const dropBroadcasts: Simplification = (node, g) => {
  const { shape, dtype } = output(node);
  let inputs = node.inputs as readonly Value[];
  for (const [i, x] of inputs.entries()) {
    const smaller = compact(x);
    const candidate = smaller && inputs.with(i, smaller);
    if (candidate && broadcastsTo(candidate, shape)) inputs = candidate;
  }
  return inputs === node.inputs ? undefined : g.op(node.op, inputs, { dtype, shape }, node.attributes);
};

function compact(x: Value): Value | undefined {
  const literal = literalOf(x);
  if (literal?.kind === "fill" && x.shape.length > 0) return constant(x.dtype, [], literal);
  const node = nodeOf(x, "Expand");
  return node && input(node);
}

const broadcastsTo = (values: readonly Value[], shape: Shape): boolean =>
  sameShape(broadcastShape(...values.map((value) => value.shape)), shape);

/** x + 0, 1 · x, x / 1, …: the operand itself, broadcast if need be. */
const neutral =
  (element: number, sides: readonly (0 | 1)[]): Simplification =>
  (node, g) => {
    for (const side of sides) {
      const other = input(node, 1 - side);
      if (fillOf(input(node, side)) !== element) continue;
      const { shape } = output(node);
      return sameShape(other.shape, shape) ? other : g.expand(other, shape);
    }
    return undefined;
  };

/** (x · a) · b = x · (a · b) for numbers a and b. */
const mergeFactors: Simplification = (node, g) => {
  const [outer, x] = constantAndRest(node);
  const inner = x && nodeOf(x, "Mul");
  if (outer === undefined || !inner) return undefined;
  const [factor, rest] = constantAndRest(inner);
  if (factor === undefined || !rest || !sameShape(rest.shape, output(node).shape)) return undefined;
  return g.binary("Mul", rest, fill(rest.dtype, [], outer * factor));
};

/**
 * x · (1 / √y) = x / √y and, in a mean, x · x = x²: together the form of layer and root-mean-square norms that ONNX Runtime
 * knows and runs as one kernel.
 */
const divideByRoot: Simplification = (node, g) => {
  for (const side of [0, 1]) {
    const root = nodeOf(input(node, side), "Reciprocal")?.inputs[0];
    if (nodeOf(root, "Sqrt")) return g.binary("Div", input(node, 1 - side), root!);
  }
  return undefined;
};
const meanSquare: Simplification = (node, g) => {
  const square = nodeOf(input(node), "Mul");
  if (!square || square.inputs[0] !== square.inputs[1]) return undefined;
  const power = g.binary("Pow", input(square), scalar("float32", 2));
  return g.op("ReduceMean", [power, input(node, 1)], output(node), node.attributes);
};

function constantAndRest(node: Node): readonly [number | undefined, Value | undefined] {
  const [a, b] = [input(node), input(node, 1)];
  if (a.dtype !== "float32") return [undefined, undefined];
  const [left, right] = [fillOf(a), fillOf(b)];
  return right !== undefined ? [right, a] : [left, b];
}

/** Arithmetic on two numbers known while tracing. */
const foldNumbers: Simplification = (node) => {
  const [a, b] = [fillOf(input(node)), fillOf(input(node, 1))];
  const { dtype, shape } = output(node);
  const compute = FOLDED[node.op];
  if (a === undefined || b === undefined || !compute || dtype !== "float32") return undefined;
  return fill(dtype, shape, Math.fround(compute(a, b)));
};

const FOLDED: Readonly<Record<string, (a: number, b: number) => number>> = {
  Add: (a, b) => a + b,
  Sub: (a, b) => a - b,
  Mul: (a, b) => a * b,
  Div: (a, b) => a / b,
};

const RULES: Readonly<Record<string, readonly Simplification[]>> = {
  Reshape: [reshape],
  Transpose: [transpose],
  Expand: [expand],
  Cast: [cast],
  Add: [foldNumbers, neutral(0, [0, 1]), dropBroadcasts],
  Sub: [foldNumbers, neutral(0, [1]), dropBroadcasts],
  Mul: [foldNumbers, neutral(1, [0, 1]), mergeFactors, divideByRoot, dropBroadcasts],
  ReduceMean: [meanSquare],
  Div: [foldNumbers, neutral(1, [1]), dropBroadcasts],
  ...Object.fromEntries(
    [
      "Max",
      "Min",
      "Pow",
      "Mod",
      "Equal",
      "Less",
      "LessOrEqual",
      "Greater",
      "GreaterOrEqual",
      "And",
      "Or",
      "Xor",
      "Where",
    ].map((op) => [op, [dropBroadcasts]]),
  ),
};
