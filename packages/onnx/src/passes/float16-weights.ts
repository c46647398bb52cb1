import { TensorARError } from "@tensorar/core";
import { toFloat16 } from "../float16";
import { type Graph, makeNode, type Value } from "../graph";
import { rewrite } from "./rewrite";

/** Matrices as float16, cast to float32 where they are used. */
export function halveWeights(graph: Graph, keep: ((name: string) => boolean) | undefined): Graph {
  const stored = new Map<Value, Value>();
  return rewrite(graph, (node, g) => {
    if (node.op === "Cast") return undefined;
    let changed = false;
    const inputs = node.inputs.map((value) => {
      if (value?.source.kind !== "weight" || value.dtype !== "float32" || value.shape.length < 2) return value;
      if (keep?.(value.source.name)) return value;
      changed = true;
      const known = stored.get(value);
      if (known) return known;
      const cast = g.cast(float16Weight(value), "float32");
      stored.set(value, cast);
      return cast;
    });
    if (!changed) return undefined;
    const { op, outputs, attributes, origin } = node;
    const next = makeNode(op, inputs, outputs, attributes, origin);
    g.nodes.push(next);
    return next.outputs;
  });
}

/** A weight of the same name in half precision. @throws TensorARError for numbers that it can't hold */
export function float16Weight({ source, shape }: Value): Value {
  const { name, data } = source as Extract<Value["source"], { kind: "weight" }>;
  return { dtype: "float16", shape, source: { kind: "weight", name, data: halved(name, data) } };
}

/** @throws TensorARError for numbers that half precision can't hold */
function halved(name: string, data: ArrayLike<number>): Uint16Array {
  for (let i = 0; i < data.length; i++) {
    if (Math.abs(data[i]!) < LARGEST_FLOAT16) continue;
    throw new TensorARError(`quantize: weight "${name}" holds ${data[i]}, which 16 bits can't; use float32`);
  }
  return toFloat16(data);
}

/** From here on a number rounds to infinity. */
export const LARGEST_FLOAT16 = 65520;
