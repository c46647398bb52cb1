import { create } from "@bufbuild/protobuf";
import { TensorARError } from "@tensorar/core";
import {
  AttributeProto_AttributeType,
  AttributeProtoSchema,
  type GraphProto,
  type NodeProto,
  NodeProtoSchema,
} from "./generated/onnx_pb";
import type { OnnxModel, Port } from "./model";
import type { Initializer } from "./serialize";

// What loops and choices are built with. Parts refer to each other by names, and see all names of the graph around them.

/** An operator whose results depend on graphs of its own. */
export function controlNode(
  opType: "Loop" | "If",
  input: string[],
  output: string[],
  graphs: Readonly<Record<string, GraphProto>>,
): NodeProto {
  const attribute = Object.entries(graphs).map(([name, g]) =>
    create(AttributeProtoSchema, { name, type: AttributeProto_AttributeType.GRAPH, g }),
  );
  return create(NodeProtoSchema, { opType, name: opType, input, output, attribute });
}

/** A plain operator, with at most one attribute. */
export function plainNode(opType: string, input: string[], output: string[], attribute?: [string, number]): NodeProto {
  const attributes = attribute
    ? [
        create(AttributeProtoSchema, {
          name: attribute[0],
          type: AttributeProto_AttributeType.INT,
          i: BigInt(attribute[1]),
        }),
      ]
    : [];
  return create(NodeProtoSchema, { opType, name: `${opType}/${output[0]}`, input, output, attribute: attributes });
}

/** What follows a prefix in the names that have it. */
export const suffixes = (ports: readonly Port[], prefix: string): string[] =>
  ports.flatMap(({ name }) => (name.startsWith(prefix) ? [name.slice(prefix.length)] : []));

/** Inputs of the whole, each once: those of the parts that none of these prefixes marks as made inside. */
export function wholeInputs(parts: readonly OnnxModel[], inside: readonly string[]): Port[] {
  const found = new Map<string, Port>();
  for (const { inputs } of parts)
    for (const port of inputs)
      if (!inside.some((prefix) => port.name.startsWith(prefix)) && !found.has(port.name)) found.set(port.name, port);
  return [...found.values()];
}

/** @throws TensorARError where these lists of names differ */
export function expectSameNames(
  where: string,
  what: string,
  given: readonly string[],
  wanted: readonly string[],
): void {
  if ([...given].sort().join() === [...wanted].sort().join()) return;
  throw new TensorARError(
    `${where}: ${what} is ${given.join(", ") || "empty"}; ${wanted.join(", ") || "nothing"} is needed`,
  );
}

/**
 * Weights that several parts use are stored once.
 * @throws TensorARError where two of one name differ
 */
export function sharedInitializers(parts: readonly (readonly Initializer[])[]): Initializer[] {
  const known = new Map<string, Initializer>();
  for (const each of parts.flat()) {
    const { name } = each.tensor;
    const other = known.get(name);
    if (other && !sameInitializer(each, other))
      throw new TensorARError(`two parts have a weight "${name}", and the two differ; give their weights other names`);
    if (!other) known.set(name, each);
  }
  return [...known.values()];
}

function sameInitializer(a: Initializer, b: Initializer): boolean {
  const [x, y] = [a.bytes!, b.bytes!];
  if (a.tensor.dataType !== b.tensor.dataType || a.tensor.dims.join() !== b.tensor.dims.join()) return false;
  if (x.buffer === y.buffer && x.byteOffset === y.byteOffset && x.length === y.length) return true;
  return x.length === y.length && x.every((byte, i) => byte === y[i]);
}
