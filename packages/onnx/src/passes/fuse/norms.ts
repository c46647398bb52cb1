import { sameShape } from "../../dims";
import { fill, fillOf, type Node, nodeOf, type Value } from "../../graph";
import { eitherWay, isMeanOfRows, width } from "./operands";
import type { Pattern, Replacement, Uses } from "./replace";

/** Norms over the last axis, as one operator each. */

const RMS_NORM = "SimplifiedLayerNormalization";
const LAYER_NORM = "LayerNormalization";

/** What a norm is made of. Without a `weight` it is 1. */
interface Norm {
  readonly x: Value;
  readonly epsilon: number;
  readonly centred: boolean;
  readonly weight?: Value;
  readonly bias?: Value;
}

/** Root-mean-square and layer norms, with weight and bias or without. */
export const norms: Pattern = (node, uses) => {
  const norm = affineNorm(node, uses);
  if (!norm || partOfMore(node, norm, uses)) return undefined;
  return {
    at: node,
    emit: (g, current) => {
      const { x, epsilon, centred, bias } = norm;
      const weight = norm.weight ?? fill("float32", [width(x.shape)!], 1);
      const inputs = [current(x), current(weight), ...(bias ? [current(bias)] : [])];
      const result = g.op(centred ? LAYER_NORM : RMS_NORM, inputs, node.outputs[0]!, { axis: -1, epsilon });
      return new Map([[node.outputs[0]!, result]]);
    },
  };
};

/** x / √(mean(x²) + ε), times a weight, plus a bias; x may be what is left of rows without their mean. */
function affineNorm(node: Node, uses: Uses): Norm | undefined {
  if (node.op === "Div") return plainNorm(node, uses);
  if (node.op !== "Mul" && node.op !== "Add") return undefined;
  for (const [inner, factor] of eitherWay(node)) {
    const norm = node.op === "Mul" ? weighted(inner, factor, uses) : biased(inner, factor, uses);
    if (norm) return norm;
  }
  return undefined;
}

function weighted(inner: Value, weight: Value, uses: Uses): Norm | undefined {
  const division = uses.only(inner, "Div");
  const norm = division && plainNorm(division, uses);
  return norm && isRow(weight, norm.x) ? { ...norm, weight } : undefined;
}

function biased(inner: Value, bias: Value, uses: Uses): Norm | undefined {
  const product = uses.only(inner, "Mul");
  const norm = product && affineNorm(product, uses);
  return norm?.centred && isRow(bias, norm.x) ? { ...norm, bias } : undefined;
}

/** Is this node's only reader the last node of the same norm? */
function partOfMore(node: Node, { x, centred, bias }: Norm, uses: Uses): boolean {
  const readers = uses.of(node.outputs[0]!);
  const [reader] = readers ?? [];
  if (!reader || readers!.length > 1 || bias) return false;
  if (node.op === "Mul" && !centred) return false;
  const wanted = node.op === "Div" ? "Mul" : "Add";
  return reader.op === wanted && reader.inputs.some((input) => input !== node.outputs[0] && isRow(input!, x));
}

const isRow = ({ shape }: Value, x: Value): boolean => shape.length === 1 && shape[0] === width(x.shape);

/** x / √(mean(x²) + ε) */
function plainNorm(division: Node, uses: Uses): Norm | undefined {
  const [x, root] = division.inputs as [Value, Value];
  if (x.dtype !== "float32" || width(x.shape) === undefined) return undefined;
  const sum = uses.only(uses.only(root, "Sqrt")?.inputs[0], "Add");
  for (const [mean, number] of sum ? eitherWay(sum) : []) {
    const epsilon = fillOf(number);
    const average = uses.only(mean, "ReduceMean");
    if (epsilon === undefined || !average || !isMeanOfRows(average)) continue;
    const square = uses.only(average.inputs[0], "Pow") ?? uses.only(average.inputs[0], "Mul");
    if (!square || !isSquareOf(square, x)) continue;
    const whole = withoutMean(x, [square, division], uses);
    return whole ? { x: whole, epsilon, centred: true } : { x, epsilon, centred: false };
  }
  return undefined;
}

const isSquareOf = ({ op, inputs: [a, b] }: Node, x: Value): boolean =>
  a === x && (op === "Pow" ? fillOf(b) === 2 : b === x);

/** The rows that `x` is the difference of from their mean, where only these nodes read the difference. */
function withoutMean(x: Value, readers: readonly Node[], uses: Uses): Value | undefined {
  const difference = nodeOf(x, "Sub");
  const mean = uses.only(difference?.inputs[1], "ReduceMean");
  if (!difference || !mean || !isMeanOfRows(mean) || mean.inputs[0] !== difference.inputs[0]) return undefined;
  const own = uses.of(x);
  return own?.length === readers.length && own.every((reader) => readers.includes(reader)) ? mean.inputs[0] : undefined;
}

/** A sum and its norm: one operator that returns both. */
export const skipNorms: Pattern = (node, uses) => {
  if (node.op !== RMS_NORM && node.op !== LAYER_NORM) return undefined;
  const [sum, weight, bias] = node.inputs as [Value, Value, Value?];
  const addition = nodeOf(sum, "Add");
  if (!addition?.inputs.every((term) => sameShape(term!.shape, sum.shape))) return undefined;
  // The operator takes matrices, or batches of them, and weights that are there before the sum is.
  const early = [weight, ...(bias ? [bias] : [])].every(({ source }) => source.kind !== "node");
  if (sum.shape.length < 2 || sum.shape.length > 3 || !early) return undefined;
  // Of several norms of one sum only the first is merged with it.
  if (uses.readers(sum).find(({ op, inputs }) => op === node.op && inputs[0] === sum) !== node) return undefined;
  return mergedNorm(node, addition);
};

function mergedNorm(norm: Node, addition: Node): Replacement {
  const [sum, normed] = [addition.outputs[0]!, norm.outputs[0]!];
  return {
    at: addition,
    emit: (g, current) => {
      const [input, skip] = addition.inputs as [Value, Value];
      const inputs = [current(input), current(skip), ...norm.inputs.slice(1)];
      // The second and third are statistics for training.
      const outputs = [normed, { dtype: "float32", shape: [0] }, { dtype: "float32", shape: [0] }, sum] as const;
      const epsilon = norm.attributes.epsilon!;
      const results = g.emit(
        norm.op === RMS_NORM ? "SkipSimplifiedLayerNormalization" : "SkipLayerNormalization",
        inputs,
        outputs,
        { epsilon },
      );
      return new Map([
        [normed, results[0]!],
        [sum, results[3]!],
      ]);
    },
  };
}
