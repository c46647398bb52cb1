import { fillOf, nodeOf, type TypedArray, type Value } from "../../graph";
import { width } from "./operands";

/** 1: the two members of every pair of columns are equal; -1: opposite. */
export type Parity = 1 | -1;

/** The columns that belong together in a rotary embedding: neighbours, or one of each half. */
export type Pairing = "neighbours" | "halves";

export const partnerOf = (pairing: Pairing, column: number, columns: number): number =>
  pairing === "neighbours" ? column ^ 1 : (column + columns / 2) % columns;

/**
 * Whether the columns of a value, its last axis, come in pairs that are equal or opposite at any time. Follows how tables of
 * rotary embeddings are made: rows of a constant, products, cosines and sines.
 *
 * @param from first of the columns that are asked about
 */
export function parityOf(value: Value, pairing: Pairing, columns: number, from = 0): Parity | undefined {
  const size = value.shape.length === 0 ? 1 : width(value.shape);
  if (fillOf(value) !== undefined || size === 1) return 1;
  const data = dataOf(value);
  if (data) return parityOfData(data, size!, pairing, columns, from);
  const node = nodeOf(value);
  const operand = (i: number) => parityOf(node!.inputs[i]!, pairing, columns, from);
  switch (node?.op) {
    case "Cos":
      return operand(0) === undefined ? undefined : 1;
    case "Sin":
      return operand(0);
    case "Mul": {
      const [a, b] = [operand(0), operand(1)];
      return a && b && ((a * b) as Parity);
    }
    case "Gather":
      return node.attributes.axis === 0 && value.shape.length > 1 ? operand(0) : undefined;
    case "Split": {
      const before = node.outputs.slice(0, node.outputs.indexOf(value)).map(({ shape }) => width(shape));
      if (node.attributes.axis !== value.shape.length - 1 || before.includes(undefined)) return undefined;
      return parityOf(node.inputs[0]!, pairing, columns, from + before.reduce<number>((sum, each) => sum + each!, 0));
    }
    case "Concat":
      return pairing === "halves" && from === 0 ? parityOfHalves(value, columns) : undefined;
    default:
      return undefined;
  }
}

/** The two halves that a value was joined of along its last axis. */
export function joinedHalves(value: Value): readonly [Value, Value] | undefined {
  const node = nodeOf(value, "Concat");
  if (node?.inputs.length !== 2 || node.attributes.axis !== value.shape.length - 1) return undefined;
  const [first, second] = node.inputs as [Value, Value];
  return width(first.shape) !== undefined && width(first.shape) === width(second.shape) ? [first, second] : undefined;
}

function parityOfHalves(value: Value, columns: number): Parity | undefined {
  const [first, second] = joinedHalves(value) ?? [];
  if (!first || width(value.shape) !== columns) return undefined;
  if (first === second) return 1;
  return nodeOf(first, "Neg")?.inputs[0] === second || nodeOf(second, "Neg")?.inputs[0] === first ? -1 : undefined;
}

/** The numbers of a constant or of a weight. */
export function dataOf({ source }: Value): TypedArray | undefined {
  if (source.kind === "weight") return source.data;
  return source.kind === "constant" && source.literal.kind === "data" ? source.literal.data : undefined;
}

function parityOfData(
  data: TypedArray,
  size: number,
  pairing: Pairing,
  columns: number,
  from: number,
): Parity | undefined {
  const holds = (parity: Parity): boolean => {
    for (let row = from; row < data.length; row += size)
      for (let column = 0; column < columns; column++)
        if (data[row + partnerOf(pairing, column, columns)] !== parity * data[row + column]!) return false;
    return true;
  };
  return holds(1) ? 1 : holds(-1) ? -1 : undefined;
}
