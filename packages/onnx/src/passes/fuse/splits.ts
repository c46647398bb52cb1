import { type Shape, sameDim } from "../../dims";
import { dims, dimsOf, type Node, type Value } from "../../graph";
import type { Pattern } from "./replace";

/** A part of a split that is split again along the same axis: all parts at once. */
export const mergedSplits: Pattern = (node, uses) => {
  const outer = node.op === "Split" ? uses.only(node.inputs[0], "Split") : undefined;
  const [inner, sizes] = [dimsOf(node.inputs[1]), dimsOf(outer?.inputs[1])];
  if (!outer || !inner || !sizes || outer.attributes.axis !== node.attributes.axis) return undefined;
  const index = outer.outputs.indexOf(node.inputs[0]!);
  const values = outer.outputs.toSpliced(index, 1, ...node.outputs);
  return {
    at: outer,
    emit: (g, current) => {
      const inputs = [current(outer.inputs[0]!), dims(sizes.toSpliced(index, 1, ...inner))];
      const parts = g.emit("Split", inputs, values, outer.attributes);
      return new Map(values.map((value, i) => [value, parts[i]!]));
    },
  };
};

/** What is joined and split at the same places again: the parts. */
export const undoneConcat: Pattern = (node, uses) => {
  const concat = node.op === "Split" ? uses.only(node.inputs[0], "Concat") : undefined;
  const axis = node.attributes.axis as number;
  if (!concat || concat.attributes.axis !== axis || !sameSizes(concat.inputs as Value[], node, axis)) return undefined;
  const pairs = node.outputs.map((output, i) => [output, concat.inputs[i]!] as const);
  return { at: node, emit: (_, current) => new Map(pairs.map(([output, part]) => [output, current(part)])) };
};

function sameSizes(parts: readonly Value[], { outputs }: Node, axis: number): boolean {
  const size = ({ shape }: { readonly shape: Shape }) => shape[axis]!;
  return parts.length === outputs.length && parts.every((part, i) => sameDim(size(part), size(outputs[i]!)));
}
