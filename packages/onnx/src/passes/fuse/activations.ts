import { type Node, nodeOf, type Value } from "../../graph";
import { besides, eitherWay } from "./operands";
import type { Pattern, Uses } from "./replace";

/** x · sigmoid(x), and both forms of GELU, as one operator each. */
export const activations: Pattern = (node, uses) => {
  if (node.op !== "Mul") return undefined;
  for (const [x, factor] of eitherWay(node)) {
    const found = x.dtype === "float32" && recognise(x, factor, uses);
    if (!found) continue;
    const { op, attributes } = found;
    const result = node.outputs[0]!;
    return { at: node, emit: (g, current) => new Map([[result, g.op(op, [current(x)], result, attributes)]]) };
  }
  return undefined;
};

/** What x is multiplied with: the fraction of it that passes. */
function recognise(x: Value, fraction: Value, uses: Uses) {
  if (uses.only(fraction, "Sigmoid")?.inputs[0] === x) return { op: "QuickGelu", attributes: { alpha: 1 } };
  // ½ · (1 + …), in either order of the factors
  const doubled = besides(uses.only(fraction, "Mul"), 0.5);
  const inner = besides(doubled && uses.only(doubled, "Add"), 1);
  if (inner === undefined) return undefined;
  const error = uses.only(inner, "Erf");
  if (error && besides(uses.only(error.inputs[0], "Mul"), Math.SQRT1_2) === x) return { op: "Gelu", attributes: {} };
  const tangent = uses.only(inner, "Tanh");
  const cubic = besides(tangent && uses.only(tangent.inputs[0], "Mul"), Math.sqrt(2 / Math.PI));
  return cubic && isCubic(uses.only(cubic, "Mul"), x, uses) ? { op: "FastGelu", attributes: {} } : undefined;
}

/** x · (1 + 0.044715 · x²) */
function isCubic(product: Node | undefined, x: Value, uses: Uses): boolean {
  if (!product) return false;
  return eitherWay(product).some(([own, factor]) => {
    const term = besides(uses.only(factor, "Add"), 1);
    const square = besides(term && uses.only(term, "Mul"), 0.044715);
    return own === x && square !== undefined && isSquare(square, x);
  });
}

const isSquare = (square: Value, x: Value): boolean =>
  nodeOf(square, "Mul")?.inputs.every((factor) => factor === x) ?? false;
