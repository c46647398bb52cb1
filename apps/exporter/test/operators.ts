import { readFileSync } from "node:fs";

/** The operators that an `.onnx` file uses, in the graphs of its loops and choices too, as `domain/name`; and its operator sets. */
export function operatorsOf(path: string): {
  readonly operators: ReadonlySet<string>;
  readonly domains: readonly string[];
} {
  const model = readFields(readFileSync(path));
  const operators = new Set<string>();
  for (const graph of model.get(GRAPH) ?? []) collect(graph, operators);
  const domains = (model.get(OPSETS) ?? []).map((set) => textOf(readFields(set).get(DOMAIN_OF_SET)));
  return { operators, domains };
}

// Field numbers of onnx.proto.
const [GRAPH, OPSETS, DOMAIN_OF_SET] = [7, 8, 1];
const [NODES, OP_TYPE, ATTRIBUTES, DOMAIN] = [1, 4, 5, 7];
const GRAPH_OF_ATTRIBUTE = 6;

function collect(graph: Uint8Array, operators: Set<string>): void {
  for (const bytes of readFields(graph).get(NODES) ?? []) {
    const node = readFields(bytes);
    operators.add(`${textOf(node.get(DOMAIN))}/${textOf(node.get(OP_TYPE))}`);
    for (const attribute of node.get(ATTRIBUTES) ?? [])
      for (const inner of readFields(attribute).get(GRAPH_OF_ATTRIBUTE) ?? []) collect(inner, operators);
  }
}

const textOf = (values: readonly Uint8Array[] | undefined): string => new TextDecoder().decode(values?.[0]);

/** The fields of a protobuf message that hold bytes, by number. */
function readFields(bytes: Uint8Array): Map<number, Uint8Array[]> {
  const fields = new Map<number, Uint8Array[]>();
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = bytes[at++]!;
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
  };
  while (at < bytes.length) {
    const tag = varint();
    const [number, type] = [Math.floor(tag / 8), tag & 7];
    if (type === 0) varint();
    else if (type === 1) at += 8;
    else if (type === 5) at += 4;
    else {
      const length = varint();
      fields.set(number, [...(fields.get(number) ?? []), bytes.subarray(at, at + length)]);
      at += length;
    }
  }
  return fields;
}
