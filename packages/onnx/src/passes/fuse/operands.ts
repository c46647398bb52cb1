import type { Shape } from "../../dims";
import { dimsOf, fillOf, type Node, type Value } from "../../graph";

/** Both ways to read the operands of a node whose operands may change places. */
export function eitherWay({ inputs }: Node): readonly (readonly [Value, Value])[] {
  const [a, b] = inputs as [Value, Value];
  return [
    [a, b],
    [b, a],
  ];
}

/** The other operand, where one is this number; numbers that differ in the last bits of a float32 are the same. */
export function besides(node: Node | undefined, number: number): Value | undefined {
  if (!node) return undefined;
  for (const [operand, other] of eitherWay(node)) {
    const value = fillOf(operand);
    if (value !== undefined && Math.abs(value - number) <= 1e-6 * Math.abs(number)) return other;
  }
  return undefined;
}

/** The size of the last axis where it is known while tracing. */
export function width(shape: Shape): number | undefined {
  const last = shape.at(-1);
  return typeof last === "number" ? last : undefined;
}

/** A `ReduceMean` over the last axis that keeps it. */
export function isMeanOfRows(node: Node): boolean {
  const rank = node.inputs[0]!.shape.length;
  const axes = dimsOf(node.inputs[1]);
  return axes?.length === 1 && axes[0] === rank - 1 && node.attributes.keepdims === 1;
}
