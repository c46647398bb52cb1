import { create } from "@bufbuild/protobuf";
import { controlNode, plainNode, suffixes } from "./compose";
import { type GraphProto, GraphProtoSchema, type ValueInfoProto } from "./generated/onnx_pb";
import { ONNX_TYPES } from "./graph";
import type { OnnxModel, Port } from "./model";
import { valueInfo, type WrittenGraph } from "./serialize";

// What runs inside of loops. The names are those by which the parts of a loop refer to each other.

export const STEP = "step";
export const [INITIAL, STATE, NEXT, FINAL, FIXED] = ["initial/", "state/", "state.next/", "final/", "fixed/"] as const;
export const [EMPTY, COMMITTED, NEXT_COMMITTED, ENDED, BEGIN] = [
  "empty/",
  "committed/",
  "committed.next/",
  "ended/",
  "begin/",
] as const;

/** What the parts of a loop take from each other; all else are inputs of the whole. */
export const INSIDE = [STEP, STATE, FINAL, FIXED, COMMITTED, ENDED] as const;

/** The leaves of what goes from step to step, and of what flushes grow; names in the graphs have the prefixes above. */
export interface LoopNames {
  readonly carry: readonly Port[];
  readonly committed: readonly Port[];
}

const scalar = (name: string, dtype: Port["dtype"]): Port => ({ name, dtype, shape: [] });

const under =
  (prefix: string) =>
  (port: Port): ValueInfoProto =>
    valueInfo({ ...port, name: prefix + port.name });

/**
 * The body with the counter and the condition that a loop has; what else it reads lies outside of it.
 * @param start name of the step that the counter's 0 stands for
 */
export function bodyGraph(body: OnnxModel, { proto }: WrittenGraph, { carry }: LoopNames, start?: string): GraphProto {
  const results = new Map(body.outputs.map((port) => [port.name, port]));
  const counting = [
    ...(start === undefined ? [] : [plainNode("Add", [start, "iteration"], ["body/count"])]),
    plainNode("Cast", [start === undefined ? "iteration" : "body/count"], ["body/step"], ["to", ONNX_TYPES.int32]),
    plainNode("Reshape", ["body/step", "one"], [STEP]),
    plainNode("Identity", ["again"], ["again.next"]),
  ];
  return create(GraphProtoSchema, {
    name: "body",
    node: [...counting, ...proto.node],
    input: [valueInfo(scalar("iteration", "int64")), valueInfo(scalar("again", "bool")), ...carry.map(under(STATE))],
    output: [valueInfo(scalar("again.next", "bool")), ...carry.map(({ name }) => valueInfo(results.get(NEXT + name)!))],
  });
}

/** Some steps, and the flush after them. What is committed lies outside of the inner loop, which copies none of it. */
export function roundGraph(
  steps: GraphProto,
  flush: OnnxModel,
  { proto }: WrittenGraph,
  { carry, committed }: LoopNames,
): GraphProto {
  const anew = new Set(suffixes(flush.outputs, BEGIN));
  const nodes = [
    plainNode("Mul", ["round", "every"], ["round/start"]),
    plainNode("Sub", ["trip_count", "round/start"], ["round/left"]),
    plainNode("Min", ["round/left", "every"], ["round/steps"]),
    controlNode(
      "Loop",
      ["round/steps", "", ...carry.map(({ name }) => `round/${name}`)],
      carry.map(({ name }) => ENDED + name),
      { body: steps },
    ),
    ...proto.node,
    plainNode("Identity", ["round/again"], ["round/again.next"]),
  ];
  return create(GraphProtoSchema, {
    name: "round",
    node: nodes,
    input: [
      valueInfo(scalar("round", "int64")),
      valueInfo(scalar("round/again", "bool")),
      ...carry.map(under("round/")),
      ...committed.map(under(COMMITTED)),
    ],
    output: [
      valueInfo(scalar("round/again.next", "bool")),
      ...carry.map((port) => under(anew.has(port.name) ? BEGIN : ENDED)(port)),
      ...committed.map(under(NEXT_COMMITTED)),
    ],
  });
}
