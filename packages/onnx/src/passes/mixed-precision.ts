import { Builder, constant, type Graph, literalOf, makeNode, type Node, type Type, type Value } from "../graph";
import { float16Weight, LARGEST_FLOAT16 } from "./float16-weights";

/** Which weights stay in float32, and which inputs and outputs become float16, by name. */
interface Choices {
  readonly keep: ((name: string) => boolean) | undefined;
  readonly ports: ((name: string) => boolean) | undefined;
}

/**
 * How a float32 value of the graph is held.
 * - half: as float16
 * - soft: as float32, rounded where it meets halves: results of norms, tables, kept weights
 * - exact: as float32, and so is what is computed with it, up to the next product: masks, logits
 */
type Holding = "half" | "soft" | "exact";

interface Held {
  readonly value: Value;
  readonly holding: Holding;
  /** Halves have gone into it, and no kept weight since. */
  readonly mixed: boolean;
}

/** Matrix products. What has a weight is computed in half precision whatever the other operand is. */
const PRODUCTS = new Set(["Gemm", "MatMul"]);

/** What is computed, or only moved, in half precision where its operands are halves. */
const FOLLOWERS = new Set([
  ...["Add", "Mul", "Neg", "Sub", "Where", "Sigmoid", "QuickGelu", "Gelu", "FastGelu"],
  ...["Concat", "Expand", "Gather", "Identity", "Reshape", "Slice", "Split", "Squeeze", "Transpose", "Unsqueeze"],
  // Their kernels take statistics in float32.
  ...["LayerNormalization", "SimplifiedLayerNormalization"],
  ...["SkipLayerNormalization", "SkipSimplifiedLayerNormalization", "RotaryEmbedding"],
]);

/** Results between -1 and 1, which lose nothing by being rounded. */
const BOUNDED = new Set(["Erf", "Sigmoid", "Softmax", "Tanh"]);

/**
 * Computes matrix products, and what lies between them, in half precision. Norms written as several operators, softmax, and
 * everything whose range or sum halves can't hold stay in float32, as do the results of the last products (the logits) and
 * what is computed with kept weights. Weights of two axes and more are stored as halves.
 *
 * @throws TensorARError when a weight holds a number that halves can't
 */
export function computeInFloat16(graph: Graph, choices: Choices): Graph {
  return new MixedPrecision(graph, choices).run();
}

class MixedPrecision {
  readonly #g = new Builder();
  readonly #held = new Map<Value, Held>();
  /** The other type of a value, where it was needed. */
  readonly #casts = new Map<Value, Value>();
  readonly #last: ReadonlySet<Node>;

  constructor(
    private readonly graph: Graph,
    private readonly choices: Choices,
  ) {
    this.#last = lastProducts(graph);
  }

  run(): Graph {
    const { ports } = this.choices;
    const inputs = this.graph.inputs.map((value) => {
      if (value.dtype !== "float32" || value.source.kind !== "input") return value;
      const isFloat16 = ports?.(value.source.name) ?? false;
      const input: Value = isFloat16 ? { ...value, dtype: "float16" } : value;
      this.#held.set(value, { value: input, holding: isFloat16 ? "half" : "exact", mixed: isFloat16 });
      return input;
    });
    for (const node of this.graph.nodes) this.#node(node);
    const outputs = this.graph.outputs.map(({ name, value }) => {
      if (value.dtype !== "float32") return { name, value: this.#as(value, false) };
      return { name, value: this.#as(value, ports?.(name) ?? false) };
    });
    return { ...this.graph, inputs, nodes: this.#g.nodes, outputs };
  }

  #node(node: Node): void {
    this.#g.origin = node.origin;
    const operands = node.inputs.filter((input) => input?.dtype === "float32") as Value[];
    const holding = this.#holdingOf(node, operands);
    const half = holding === "half";
    const inputs = node.inputs.map(
      (input) => input && this.#as(input, half || (node.op === "Shape" && this.#isFloat16(input))),
    );
    const types = node.outputs.map(
      ({ dtype, shape }): Type => ({ dtype: half && dtype === "float32" ? "float16" : dtype, shape }),
    );
    const next = makeNode(node.op, inputs, types, node.attributes, node.origin);
    this.#g.nodes.push(next);
    const kept = operands.some((value) => this.#isKept(value));
    const mixed = half || (!kept && operands.some((value) => this.#of(value)?.mixed));
    for (const [i, output] of node.outputs.entries())
      this.#held.set(output, { value: next.outputs[i]!, holding, mixed });
    if (half && this.#last.has(node)) this.#hold(node, "float32", "exact");
    // One rounding here, and not one for each that reads it.
    if (node.op === "Softmax" && mixed) this.#hold(node, "float16", "half");
  }

  /** Holds the result of a node in another type than it was computed in. */
  #hold(node: Node, dtype: "float16" | "float32", holding: Holding): void {
    const output = node.outputs[0]!;
    this.#held.set(output, { value: this.#g.cast(this.#held.get(output)!.value, dtype), holding, mixed: true });
  }

  /** What the results of a node are held as; "half" is also what it is computed in. */
  #holdingOf(node: Node, operands: readonly Value[]): Holding {
    if (operands.some((value) => this.#isKept(value))) return this.#worst(operands);
    const product = PRODUCTS.has(node.op);
    if (product && operands.some(({ source }) => source.kind === "weight")) return "half";
    if (node.op === "Cast") return node.inputs[0]!.dtype === "bool" ? "soft" : "exact";
    if (operands.length === 0) return "exact";
    if (!product && !FOLLOWERS.has(node.op)) return BOUNDED.has(node.op) ? "soft" : this.#worst(operands);
    if (operands.some((value) => this.#of(value)?.holding === "exact" || !fitsHalf(value))) return "exact";
    return operands.some((value) => this.#isFloat16(value)) ? "half" : "soft";
  }

  #worst(operands: readonly Value[]): Holding {
    return operands.some((value) => this.#of(value)?.holding === "exact" || !fitsHalf(value)) ? "exact" : "soft";
  }

  /** Undefined for constants, and weights of one axis: they are what the others are. */
  #of(value: Value): Held | undefined {
    return this.#held.get(value);
  }

  #isKept({ source }: Value): boolean {
    return source.kind === "weight" && (this.choices.keep?.(source.name) ?? false);
  }

  #isMatrix(value: Value): boolean {
    return (
      value.source.kind === "weight" && value.dtype === "float32" && value.shape.length > 1 && !this.#isKept(value)
    );
  }

  #isFloat16(value: Value): boolean {
    return this.#of(value)?.holding === "half" || this.#isMatrix(value);
  }

  /** The value in float16 or in float32, or as it is when it is no float. */
  #as(value: Value, half: boolean): Value {
    const held = this.#of(value)?.value ?? this.#stored(value);
    if (value.dtype !== "float32" || (held.dtype === "float16") === half) return held;
    const literal = literalOf(held);
    if (literal) return constant("float16", held.shape, literal);
    const known = this.#casts.get(held);
    if (known) return known;
    const cast = this.#g.cast(held, half ? "float16" : "float32");
    this.#casts.set(held, cast);
    return cast;
  }

  /** Matrices are stored as halves; a weight has one form in a file. */
  #stored(value: Value): Value {
    if (!this.#isMatrix(value)) return value;
    const stored = float16Weight(value);
    this.#held.set(value, { value: stored, holding: "half", mixed: false });
    return stored;
  }
}

/** Can halves hold a constant? Everything else they can, as far as its type says. */
function fitsHalf(value: Value): boolean {
  const literal = literalOf(value);
  if (literal?.kind === "fill") return typeof literal.value === "number" && Math.abs(literal.value) < LARGEST_FLOAT16;
  return literal?.kind !== "data" || literal.data.every((each) => Math.abs(each) < LARGEST_FLOAT16);
}

/** Products with weights whose results go into no other: they make the logits. */
function lastProducts({ nodes }: Graph): ReadonlySet<Node> {
  const last = new Set<Node>();
  const read = new Set<Value>(); // by some product with a weight, sooner or later
  for (const node of nodes.toReversed()) {
    const isProduct = PRODUCTS.has(node.op) && node.inputs.some((input) => input?.source.kind === "weight");
    const goesOn = node.outputs.some((output) => read.has(output));
    if (isProduct && !goesOn) last.add(node);
    if (!isProduct && !goesOn) continue;
    for (const input of node.inputs) if (input?.dtype === "float32") read.add(input);
  }
  return last;
}
