import { TensorARError } from "@tensorar/core";
import { at } from "./callsite";
import { type Dim, fitDim, isSymbolic, type Samples, type Shape } from "./dims";
import { constant, type Graph, type Literal, makeNode, type Node, type SymbolicScalar, type Value } from "./graph";

/**
 * Makes one graph with symbolic dimensions from recordings of the same function at several sizes. The recordings must agree
 * node by node; integers that differ become polynomials of the sizes, and the last recording, at sizes of its own, checks them.
 */

export function unify(recordings: readonly Graph[], dimensions: Graph["dimensions"], samples: Samples): Graph {
  return new Unifier(recordings, dimensions, samples).run();
}

class Unifier {
  readonly #values = new Map<Value, Value>();
  /** The node being unified, for messages. */
  #node: Node | undefined;

  constructor(
    private readonly recordings: readonly Graph[],
    private readonly dimensions: Graph["dimensions"],
    private readonly samples: Samples,
  ) {}

  run(): Graph {
    const [first, ...others] = this.recordings as [Graph, ...Graph[]];
    const inputs = first.inputs.map((_, i) => this.#define(this.recordings.map((graph) => graph.inputs[i]!)));
    const nodes = first.nodes.map((node, i) => {
      this.#node = node;
      const same = [node, ...others.map((graph) => graph.nodes[i])];
      if (same.some((other) => !other || other.op !== node.op || !sameAttributes(other, node))) {
        this.#fail("does something else, or has other attributes,");
      }
      return this.#unifyNode(same as Node[]);
    });
    if (others.some((graph) => graph.nodes.length !== first.nodes.length)) {
      this.#fail("is followed by a number of operations that changes");
    }
    const outputs = first.outputs.map(({ name }, i) => {
      const each = this.recordings.map((graph) => graph.outputs[i]);
      if (each.some((output) => output?.name !== name)) {
        throw new TensorARError(
          `output "${name}" exists for some sizes of ${this.#names()} only; always return the same outputs`,
        );
      }
      return { name, value: this.#resolve(each.map((output) => output!.value)) };
    });
    return { dimensions: this.dimensions, inputs, nodes, outputs };
  }

  #unifyNode(same: readonly Node[]): Node {
    const [node] = same as [Node];
    const inputs = node.inputs.map((input, i) => input && this.#resolve(same.map((other) => other.inputs[i]!)));
    const types = node.outputs.map(({ dtype }, i) => ({
      dtype,
      shape: this.#shape(same.map((other) => other.outputs[i]!.shape)),
    }));
    const unified = makeNode(node.op, inputs, types, node.attributes, node.origin);
    for (const [i, output] of node.outputs.entries()) this.#values.set(output, unified.outputs[i]!);
    return unified;
  }

  /** The unified value that stands for one value of each recording. */
  #resolve(each: readonly Value[]): Value {
    const [first] = each as [Value];
    const known = this.#values.get(first);
    if (known) {
      if (each.some((value, i) => this.#position(value, i) !== this.#position(first, 0)))
        this.#fail("takes another operand");
      return known;
    }
    return this.#define(each);
  }

  #define(each: readonly Value[]): Value {
    const [first] = each as [Value];
    if (each.some((value) => value.source.kind !== first.source.kind || value.dtype !== first.dtype)) {
      this.#fail("takes another operand");
    }
    const shape = this.#shape(each.map((value) => value.shape));
    const value =
      first.source.kind === "constant"
        ? constant(first.dtype, shape, this.#literal(each, shape))
        : { dtype: first.dtype, shape, source: first.source };
    this.#values.set(first, value);
    return value;
  }

  /** Where a value of recording `index` is made, as a string to compare across recordings. */
  #position({ source }: Value, index: number): string {
    if (source.kind === "node") return `${this.#order(index).get(source.node)}.${source.index}`;
    return source.kind === "constant" ? "constant" : `${source.kind} ${source.name}`;
  }

  readonly #orders = new Map<number, ReadonlyMap<Node, number>>();
  #order(index: number): ReadonlyMap<Node, number> {
    if (!this.#orders.has(index))
      this.#orders.set(index, new Map(this.recordings[index]!.nodes.map((node, i) => [node, i])));
    return this.#orders.get(index)!;
  }

  #shape(each: readonly Shape[]): Shape {
    const [first] = each as [Shape];
    if (each.some((shape) => shape.length !== first.length)) this.#fail("makes a tensor of a rank that changes");
    return first.map(
      (_, axis) =>
        this.#dim(each.map((shape) => shape[axis] as number)) ?? this.#fail("makes a tensor of a size that changes"),
    );
  }

  #dim(values: readonly number[]): Dim | undefined {
    return fitDim(values, this.samples);
  }

  #literal(each: readonly Value[], shape: Shape): Literal {
    const literals = each.map((value) =>
      value.source.kind === "constant" ? value.source.literal : undefined,
    ) as Literal[];
    const [first] = literals as [Literal];
    const unified = this.#sameKind(literals, first) ?? this.#progression(literals, shape);
    return unified ?? this.#fail("takes a constant computed in JavaScript, whose values change");
  }

  #sameKind(literals: readonly Literal[], first: Literal): Literal | undefined {
    if (first.kind === "dims") {
      const rows = literals.map((literal) => (literal as typeof first).entries as readonly number[]);
      const entries = first.entries.map((_, i) => this.#dim(rows.map((row) => row[i]!)));
      return entries.includes(undefined)
        ? this.#fail("uses sizes that change")
        : { kind: "dims", entries: entries as Dim[] };
    }
    if (literals.some(({ kind }) => kind !== first.kind)) return undefined;
    if (first.kind === "fill") {
      const value = this.#scalar(literals.map((literal) => (literal as typeof first).value as number));
      return value === undefined ? undefined : { kind: "fill", value };
    }
    if (first.kind === "range") {
      const ranges = literals as (typeof first)[];
      const start = this.#dim(ranges.map((literal) => literal.start as number));
      return start === undefined || ranges.some(({ step }) => step !== first.step) ? undefined : { ...first, start };
    }
    const arrays = literals as (typeof first)[];
    const same = arrays.every(
      ({ data }) => data.length === first.data.length && data.every((x, i) => Object.is(x, first.data[i])),
    );
    return same ? first : undefined;
  }

  /** A number that is a polynomial of the sizes, or one over such a number. */
  #scalar(values: readonly number[]): number | SymbolicScalar | undefined {
    const direct = this.#dim(values);
    if (direct !== undefined) return isSymbolic(direct) ? { of: direct, reciprocal: false } : direct;
    const inverses = values.map((value) => Math.round(1 / value));
    if (inverses.some((inverse, i) => Math.fround(1 / inverse) !== Math.fround(values[i]!))) return undefined;
    const inverse = this.#dim(inverses);
    return inverse !== undefined && isSymbolic(inverse) ? { of: inverse, reciprocal: true } : undefined;
  }

  /** Whole numbers start, start + step, … along one dimension. */
  #progression(literals: readonly Literal[], shape: Shape): Literal | undefined {
    if (shape.length !== 1) return undefined;
    const ranges = literals.map((literal) => {
      if (literal.kind !== "data" || literal.data.length < 2) return undefined;
      const start = Number(literal.data[0]);
      const step = Number(literal.data[1]) - start;
      return literal.data.every((x, i) => x === start + i * step) ? { start, step } : undefined;
    });
    const step = ranges[0]?.step;
    if (step === undefined || ranges.some((candidate) => candidate?.step !== step)) return undefined;
    const start = this.#dim(ranges.map((candidate) => candidate!.start));
    return start === undefined ? undefined : { kind: "range", start, step };
  }

  #names(): string {
    return this.dimensions.map(({ name }) => `"${name}"`).join(" and ");
  }

  #fail(what: string): never {
    const { kernel, stack } = this.#node?.origin ?? { kernel: "the function" };
    throw new TensorARError(
      `the tfjs kernel "${kernel}"${stack ? at(stack) : ""} ${what} with the sizes of ${this.#names()} in a way that one graph can't follow; ` +
        "compute it from the inputs with tensor ops, or give the dimension a fixed size",
    );
  }
}

function sameAttributes(a: Node, b: Node): boolean {
  return JSON.stringify(a.attributes) === JSON.stringify(b.attributes);
}
