import { broadcastShape, type Shape, sameDim, sameShape } from "../../dims";
import { type Builder, fill, type Node, nodeOf, type Value } from "../../graph";
import { eitherWay } from "./operands";
import type { Pattern, Uses } from "./replace";

// R rows · H heads · L new slots · S cached slots · Dh head width

/**
 * Attention over a cache and over new slots apart, in a graph that also joins the two for the next step: over what is joined.
 * Two products instead of four, and nothing to join and split besides. Graphs that return only the new rows keep them apart,
 * since joining copies the cache.
 */
export const joinedAttention: Pattern = (node, uses) => {
  const found = node.op === "Add" ? recognise(node, uses) : undefined;
  if (!found) return undefined;
  const { queries, keys, values, mask, own, scores } = found;
  return {
    at: node,
    emit: (g, current) => {
      const seen = joinedMask(g, current(mask), own && current(own), scores);
      const turned = g.transpose(joined(g, current, keys), SWAPPED);
      const compared = g.op("MatMul", [current(queries), turned], scores);
      const shares = g.unary("Softmax", g.op("Add", [compared, seen], scores), { axis: -1 });
      const mixed = g.op("MatMul", [shares, joined(g, current, values)], node.outputs[0]!);
      return new Map([[node.outputs[0]!, mixed]]);
    },
  };
};

/** Cached and new keys or values, and the node that joins them. */
interface Joint {
  /** As the graph joins them, perhaps with more axes in front. */
  readonly whole: Value;
  readonly piece: Value;
  readonly node: Node;
  /** [R, H, …]: the shape of what attention reads. */
  readonly shape: Shape;
}

interface Attention {
  readonly queries: Value;
  readonly keys: Joint;
  readonly values: Joint;
  /** [R or 1, 1, 1, S], added to the scores of cached slots */
  readonly mask: Value;
  /** [L, L] or [R, 1, L, L], added to those of new slots */
  readonly own: Value | undefined;
  /** Type of the scores, [R, H, L, S + L]. */
  readonly scores: Value;
}

function recognise(node: Node, uses: Uses): Attention | undefined {
  for (const [first, second] of eitherWay(node)) {
    const [cached, fresh] = [uses.only(first, "MatMul"), uses.only(second, "MatMul")];
    const split = uses.only(cached?.inputs[0], "Split");
    if (!fresh || split?.outputs.length !== 2 || uses.of(split.outputs[1]!)?.length !== 1) continue;
    if (split.outputs[0] !== cached!.inputs[0] || split.outputs[1] !== fresh.inputs[0]) continue;
    const scores = uses.only(uses.only(split.inputs[0], "Softmax")?.inputs[0], "Concat");
    const [ofCached, ofFresh] = (scores?.inputs ?? []).map((each) => maskedProduct(each!, uses));
    if (!ofCached?.mask || !ofFresh || ofCached.queries !== ofFresh.queries) continue;
    const { mask, queries } = ofCached;
    const [pastKeys, newKeys] = [turned(ofCached.keys), turned(ofFresh.keys)];
    const keys = pastKeys && newKeys && jointOf(pastKeys, newKeys, uses);
    const values = jointOf(cached!.inputs[1]!, fresh.inputs[1]!, uses);
    const hasMask = ofFresh.mask !== undefined || scores!.inputs[1]!.shape.at(-1) === 1;
    const isOfSlots = hasMask && mask.shape.length === 4 && mask.shape[1] === 1 && mask.shape[2] === 1;
    if (!keys || !values || !isOfSlots || scores!.attributes.axis !== 3) continue;
    return { queries, keys, values, mask, own: ofFresh.mask, scores: scores!.outputs[0]! };
  }
  return undefined;
}

/** `queries · keys`, with a mask that is added or without. */
function maskedProduct(value: Value, uses: Uses) {
  const plain = uses.only(value, "MatMul");
  if (plain) return { queries: plain.inputs[0]!, keys: plain.inputs[1]!, mask: undefined };
  const sum = uses.only(value, "Add");
  for (const [product, mask] of sum ? eitherWay(sum) : []) {
    const inner = uses.only(product, "MatMul");
    if (inner) return { queries: inner.inputs[0]!, keys: inner.inputs[1]!, mask };
  }
  return undefined;
}

/** What lies behind a reshape: the same elements in the same order. */
const behind = (value: Value): Value => nodeOf(value, "Reshape")?.inputs[0] ?? value;

const SWAPPED = [0, 1, 3, 2];

/** Keys [R, H, S, Dh] whose transposition this is; that of a single slot is a reshape. */
function turned(value: Value): Value | undefined {
  const transpose = nodeOf(value, "Transpose");
  if (transpose) return String(transpose.attributes.perm) === String(SWAPPED) ? transpose.inputs[0]! : undefined;
  const [rows, heads, width, slots] = value.shape;
  if (nodeOf(value, "Reshape") === undefined || slots !== 1) return undefined;
  return { ...value, shape: [rows!, heads!, 1, width!] };
}

/** Where the graph joins these two along the slots. */
function jointOf(cached: Value, fresh: Value, uses: Uses): Joint | undefined {
  for (const whole of new Set([cached, behind(cached)])) {
    for (const node of uses.readers(whole)) {
      const [first, piece] = node.inputs;
      if (node.op !== "Concat" || node.inputs.length !== 2 || first !== whole || !piece) continue;
      const along = (node.attributes.axis as number) - whole.shape.length;
      const same = behind(piece) === behind(fresh) && sameEnd(piece, fresh) && sameEnd(whole, cached);
      if (along !== -2 || !same) continue;
      const shape = [cached.shape[0]!, ...node.outputs[0]!.shape.slice(-3)];
      return { whole, piece, node, shape };
    }
  }
  return undefined;
}

/** Heads, slots and width; axes in front of them may be one or several. */
const sameEnd = (a: Value, b: Value): boolean =>
  [-1, -2, -3].every((axis) => sameDim(a.shape.at(axis) ?? 1, b.shape.at(axis) ?? 1));

/** Joined as the graph does it, which is then the same node. */
function joined(g: Builder, current: (value: Value) => Value, { whole, piece, node, shape }: Joint): Value {
  const reshaped = nodeOf(piece, "Reshape");
  const part = reshaped ? g.reshape(current(behind(piece)), piece.shape) : current(piece);
  const join = g.concat([current(whole), part], node.attributes.axis as number, node.outputs[0]!.shape);
  return join.shape.length === 4 ? join : g.reshape(join, shape);
}

/** [R or 1, 1, L or 1, S + L], the same for all layers. */
function joinedMask(g: Builder, mask: Value, own: Value | undefined, scores: Value): Value {
  const fresh = own ?? fill("float32", [1, 1, 1, 1], 0); // a single slot, which sees itself
  const rows = broadcastShape(mask.shape.slice(0, -1), fresh.shape.slice(0, -1));
  const parts = [mask, fresh].map((part) => {
    const shape = [...rows, part.shape.at(-1)!];
    return sameShape(part.shape, shape) ? part : g.expand(part, shape);
  });
  return g.concat(parts, 3, [...rows, scores.shape.at(-1)!]);
}
