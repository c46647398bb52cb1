import { sameDim } from "../../dims";
import { type Builder, dims, literalOf, type Node, nodeOf, scalar, type Value } from "../../graph";
import { contentKey } from "../cse";
import { dataOf, joinedHalves, type Pairing, parityOf, partnerOf } from "./mirrored";
import { eitherWay, width } from "./operands";
import type { Pattern, Uses } from "./replace";

// R rows · H heads · L positions · Dh head width

/** `x·cos + swap(x)·sin` with the swap a product with a permutation. */
interface Rotation {
  /** [R, H, L, Dh] */
  readonly x: Value;
  readonly pairing: Pairing;
  /** [L, Dh]: cos, and sin with the sign of each member. */
  readonly cos: Value;
  readonly sin: Value;
  /** [H, 1, 1]: what each head is multiplied with besides. */
  readonly factors: Value | undefined;
}

/** ONNX Runtime's `RotaryEmbedding`, which reads half the table: one column for each pair. */
export const rotary: Pattern = (node, uses) => {
  const rotation = node.op === "Add" ? recognise(node, uses) : undefined;
  if (!rotation) return undefined;
  return {
    at: node,
    emit: (g, current) => {
      const { x, pairing, factors } = rotation;
      const [cos, sin] = [current(rotation.cos), current(rotation.sin)];
      const tables = [halfOf(g, cos, pairing, "first"), halfOf(g, sin, pairing, "second")];
      const start = dims([0]); // position i reads row i of these tables
      const attributes = { interleaved: pairing === "neighbours" ? 1 : 0 };
      const turned = g.op("RotaryEmbedding", [current(x), start, ...tables], x, attributes);
      const result = factors ? g.binary("Mul", turned, current(factors)) : turned;
      return new Map([[node.outputs[0]!, result]]);
    },
  };
};

/** Columns of the first, or of the second, members of all pairs. */
function halfOf(g: Builder, table: Value, pairing: Pairing, member: "first" | "second"): Value {
  const halves = pairing === "halves" ? joinedHalves(table) : undefined;
  if (halves) return halves[member === "first" ? 0 : 1];
  const columns = width(table.shape)!;
  const shape = table.shape.with(-1, columns / 2);
  const [step, offset] = pairing === "neighbours" ? [2, 1] : [1, columns / 2];
  const start = member === "first" ? 0 : offset;
  const end = pairing === "neighbours" ? columns : start + columns / 2;
  return g.op("Slice", [table, dims([start]), dims([end]), dims([1]), dims([step])], { dtype: table.dtype, shape });
}

function recognise(node: Node, uses: Uses): Rotation | undefined {
  for (const [plain, swapped] of eitherWay(node)) {
    const [still, moved] = [uses.only(plain, "Mul"), uses.only(swapped, "Mul")];
    if (!still || !moved || plain.shape.length !== 4) continue;
    for (const [x, cos] of eitherWay(still)) {
      for (const [y, sin] of eitherWay(moved)) {
        const pairing = swapOf(y, x, uses);
        const tables = pairing && splitFactors(cos, sin);
        if (tables && isRotation(x, pairing, tables)) return { x, pairing, ...tables };
      }
    }
  }
  return undefined;
}

/** The pairs that are swapped between x and y. */
function swapOf(y: Value, x: Value, uses: Uses): Pairing | undefined {
  const product = uses.only(uses.only(y, "Reshape")?.inputs[0], "Gemm");
  const [flat, matrix] = product?.inputs ?? [];
  if (!flat || !matrix) return undefined;
  // A reshape of a reshape has become one.
  const whole = nodeOf(flat, "Reshape")?.inputs[0];
  if (whole === undefined || (whole !== x && whole !== nodeOf(x, "Reshape")?.inputs[0])) return undefined;
  const data = dataOf(matrix);
  const [columns] = matrix.shape as [number];
  if (!data || product!.attributes.transA !== 0 || columns % 2 !== 0 || width(x.shape) !== columns) return undefined;
  const isSwap = (pairing: Pairing): boolean =>
    data.every((value, at) => {
      const [row, column] = [Math.floor(at / columns), at % columns];
      return value === (column === partnerOf(pairing, row, columns) ? 1 : 0);
    });
  return (["neighbours", "halves"] as const).find(isSwap);
}

/** Factors of heads, [H, 1, 1], that cos and sin have in common, taken out of them. */
function splitFactors(cos: Value, sin: Value): Pick<Rotation, "cos" | "sin" | "factors"> | undefined {
  if (cos.shape.length === 2 && sin.shape.length === 2) return { cos, sin, factors: undefined };
  const [ofCos, ofSin] = [nodeOf(cos, "Mul"), nodeOf(sin, "Mul")];
  for (const [factors, plainCos] of ofCos ? eitherWay(ofCos) : []) {
    for (const [others, plainSin] of ofSin ? eitherWay(ofSin) : []) {
      const perHead = factors.shape.length === 3 && factors.shape[1] === 1 && factors.shape[2] === 1;
      if (perHead && sameContent(factors, others)) return { cos: plainCos, sin: plainSin, factors };
    }
  }
  return undefined;
}

function sameContent(a: Value, b: Value): boolean {
  const [left, right] = [literalOf(a), literalOf(b)];
  if (!left || !right) return a === b;
  const key = contentKey(a, left);
  return key !== undefined && key === contentKey(b, right);
}

function isRotation({ shape }: Value, pairing: Pairing, { cos, sin }: Pick<Rotation, "cos" | "sin">): boolean {
  const fits = [cos, sin].every(
    (table) => table.shape.length === 2 && sameDim(table.shape[0]!, shape[2]!) && table.shape[1] === shape[3],
  );
  const columns = width(shape)!;
  // The first member of a pair is turned by -sin, the second by +sin.
  return fits && parityOf(cos, pairing, columns) === 1 && parityOf(sin, pairing, columns) === -1;
}

/**
 * Turned heads that are multiplied with factors and then split: each part is turned alone, and its factor lands in the table,
 * once for all layers. A product with a number would cost more: ONNX Runtime merges it with the scores' product, which is
 * slower on CPU than one without.
 */
export const rotaryParts: Pattern = (node, uses) => {
  const product = node.op === "Split" ? uses.only(node.inputs[0], "Mul") : undefined;
  for (const [turned, factors] of product ? eitherWay(product) : []) {
    const rotation = uses.only(turned, "RotaryEmbedding");
    const numbers = rotation && node.attributes.axis === 1 && partFactors(node, factors);
    if (!numbers) continue;
    const [x, start, cos, sin] = rotation.inputs as [Value, Value, Value, Value];
    return {
      at: node,
      emit: (g, current) => {
        const parts = g.emit("Split", [current(x), node.inputs[1]], node.outputs, node.attributes);
        const turn = (part: Value, factor: number): Value => {
          const tables = [cos, sin].map((table) => scaled(g, current(table), factor));
          return g.op("RotaryEmbedding", [part, start, ...tables], part, rotation.attributes);
        };
        return new Map(parts.map((part, i) => [node.outputs[i]!, turn(part, numbers[i]!)]));
      },
    };
  }
  return undefined;
};

const scaled = (g: Builder, table: Value, factor: number): Value =>
  factor === 1 ? table : g.binary("Mul", table, scalar("float32", factor));

/** The factor of each part of heads that are split, where it is one number: factors [H, 1, 1]. */
function partFactors({ outputs }: Node, factors: Value): number[] | undefined {
  const data = dataOf(factors);
  const sizes = outputs.map(({ shape }) => shape[1] as number);
  if (!data || factors.shape.length !== 3 || sizes.reduce((a, b) => a + b) !== data.length) return undefined;
  let start = 0;
  const numbers = sizes.map((size) => {
    const [first, ...others] = data.slice(start, start + size);
    start += size;
    return others.every((other) => other === first) ? first : undefined;
  });
  return numbers.every((number) => number !== undefined) ? numbers : undefined;
}
