import { type Dim, isSymbolic, type Polynomial, type Shape, sameDim } from "../dims";
import {
  type Builder,
  dims,
  dimsOf,
  type Graph,
  literalOf,
  makeNode,
  type Node,
  type SymbolicScalar,
  scalar,
  type Value,
} from "../graph";
import { rewrite } from "./rewrite";

/** Replaces constants that depend on symbolic dimensions by nodes that compute them from the shapes of the inputs. */
export function lowerSymbolic(graph: Graph): Graph {
  const sizes = new SizeNodes(graph);
  return rewrite(withoutConstantOutputs(graph), (node, g) => {
    const inputs = node.inputs.map((input, i) => input && sizes.lower(g, adapt(node, input, i)));
    if (inputs.every((input, i) => input === node.inputs[i])) return undefined;
    const lowered = makeNode(node.op, inputs, node.outputs, node.attributes, node.origin);
    g.nodes.push(lowered);
    return lowered.outputs;
  });
}

/** Outputs that are constants become copies of them, so that every constant is some node's operand. */
function withoutConstantOutputs(graph: Graph): Graph {
  const copies: Node[] = [];
  const outputs = graph.outputs.map(({ name, value }) => {
    if (!literalOf(value)) return { name, value };
    const copy = makeNode("Identity", [value], [value], {}, { kernel: "Identity" });
    copies.push(copy);
    return { name, value: copy.outputs[0]! };
  });
  return copies.length === 0 ? graph : { ...graph, nodes: [...graph.nodes, ...copies], outputs };
}

/** Reshape can leave one size open; Expand keeps a size when asked for 1. Both save computing it. */
function adapt(node: Node, input: Value, position: number): Value {
  const entries = dimsOf(input);
  if (!entries || position !== 1) return input;
  if (node.op === "Reshape" && entries.filter(isSymbolic).length === 1 && !entries.includes(0)) {
    return dims(entries.map((entry) => (isSymbolic(entry) ? -1 : entry)));
  }
  if (node.op === "Expand") {
    const shape = node.inputs[0]!.shape;
    const offset = entries.length - shape.length;
    return dims(entries.map((entry, axis) => (axis >= offset && sameDim(shape[axis - offset]!, entry) ? 1 : entry)));
  }
  return input;
}

class SizeNodes {
  /** int64 [1] for every polynomial that was needed, by its coefficients. */
  readonly #known = new Map<string, Value>();
  readonly #lowered = new Map<Value, Value>();

  constructor(private readonly graph: Graph) {}

  lower(g: Builder, value: Value): Value {
    const literal = literalOf(value);
    if (!literal) return value;
    const done = this.#lowered.get(value);
    if (done) return done;
    const lowered = this.#lower(g, value);
    this.#lowered.set(value, lowered);
    return lowered;
  }

  #lower(g: Builder, value: Value): Value {
    const literal = literalOf(value)!;
    if (literal.kind === "dims") return literal.entries.some(isSymbolic) ? this.#vector(g, literal.entries) : value;
    if (literal.kind === "range") return this.#range(g, value, literal.start, literal.step);
    if (literal.kind !== "fill") return value;
    const one =
      typeof literal.value === "number" ? scalar(value.dtype, literal.value) : this.#scalar(g, literal.value, value);
    if (value.shape.length === 0) return one;
    if (!value.shape.some(isSymbolic) && typeof literal.value === "number") return value;
    return g.op("Expand", [one, this.#vector(g, value.shape)], value);
  }

  #scalar(g: Builder, { of, reciprocal }: SymbolicScalar, { dtype }: Value): Value {
    const number = g.cast(g.reshape(this.size(g, of), []), dtype);
    return reciprocal ? g.unary("Reciprocal", number) : number;
  }

  #range(g: Builder, value: Value, start: Dim, step: number): Value {
    const [length] = value.shape as [Dim];
    if (!isSymbolic(length) && !isSymbolic(start)) return value;
    const at = (dim: Dim): Value =>
      g.cast(isSymbolic(dim) ? g.reshape(this.size(g, dim), []) : scalar("int64", dim), value.dtype);
    const from = at(start);
    const span = g.binary("Mul", at(length), scalar(value.dtype, step));
    return g.op("Range", [from, g.binary("Add", from, span), scalar(value.dtype, step)], value);
  }

  #vector(g: Builder, entries: Shape): Value {
    if (!entries.some(isSymbolic)) return dims(entries);
    const parts = entries.map((entry) => (isSymbolic(entry) ? this.size(g, entry) : dims([entry])));
    return parts.length === 1 ? parts[0]! : g.concat(parts, 0, [parts.length]);
  }

  /** A polynomial as int64 [1]. */
  size(g: Builder, { numerators, denominator }: Polynomial): Value {
    const key = `${numerators.join()}/${denominator}`;
    const known = this.#known.get(key);
    if (known) return known;
    let sum: Value | undefined;
    for (const [subset, numerator] of numerators.entries()) {
      if (numerator === 0) continue;
      const term = this.#term(g, subset, numerator);
      sum = sum ? g.binary("Add", sum, term) : term;
    }
    const result = denominator === 1 ? sum! : g.binary("Div", sum!, dims([denominator]));
    this.#known.set(key, result);
    return result;
  }

  #term(g: Builder, subset: number, numerator: number): Value {
    const factors = this.graph.dimensions.flatMap((_, i) => (subset & (1 << i) ? [this.#dimension(g, i)] : []));
    const constants = numerator === 1 && factors.length > 0 ? [] : [dims([numerator])];
    return [...factors, ...constants].reduce((a, b) => g.binary("Mul", a, b));
  }

  #dimension(g: Builder, index: number): Value {
    const key = `dimension ${index}`;
    const known = this.#known.get(key);
    if (known) return known;
    const { input, axis } = this.graph.dimensions[index]!;
    const source = this.graph.inputs.find((value) => value.source.kind === "input" && value.source.name === input)!;
    const size = g.op("Shape", [source], { dtype: "int64", shape: [1] }, { start: axis, end: axis + 1 });
    this.#known.set(key, size);
    return size;
  }
}
