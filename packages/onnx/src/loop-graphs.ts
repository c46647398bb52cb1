import { create } from "@bufbuild/protobuf";
import { controlNode, plainNode, suffixes } from "./compose";
import { type GraphProto, GraphProtoSchema } from "./generated/onnx_pb";
import { ONNX_TYPES } from "./graph";
import type { OnnxModel, Port } from "./model";
import { valueInfo, type WrittenGraph } from "./serialize";

// What runs inside of loops. The names are those by which the parts of a loop refer to each other.

export const STEP = "step";
export const [INITIAL, STATE, NEXT, FINAL, FIXED] = ["initial/", "state/", "state.next/", "final/", "fixed/"] as const;
export const [EMPTY, HELD, NEXT_HELD, ENDED, BEGIN] = ["empty/", "held/", "held.next/", "ended/", "begin/"] as const;

const scalar = (name: string, dtype: Port["dtype"]): Port => ({ name, dtype, shape: [] });

/**
 * The body with the counter and the condition that a loop has; what else it reads lies outside of it.
 * @param start name of the step that the counter's 0 stands for
 */
export function bodyGraph(
  body: OnnxModel,
  { proto }: WrittenGraph,
  state: readonly string[],
  start?: string,
): GraphProto {
  const ports = new Map([...body.inputs, ...body.outputs].map((port) => [port.name, port]));
  const counting = [
    ...(start === undefined ? [] : [plainNode("Add", [start, "iteration"], ["body/count"])]),
    plainNode("Cast", [start === undefined ? "iteration" : "body/count"], ["body/step"], ["to", ONNX_TYPES.int32]),
    plainNode("Reshape", ["body/step", "one"], [STEP]),
    plainNode("Identity", ["again"], ["again.next"]),
  ];
  return create(GraphProtoSchema, {
    name: "body",
    node: [...counting, ...proto.node],
    input: [
      valueInfo(scalar("iteration", "int64")),
      valueInfo(scalar("again", "bool")),
      ...state.map((each) => valueInfo(ports.get(STATE + each)!)),
    ],
    output: [valueInfo(scalar("again.next", "bool")), ...state.map((each) => valueInfo(ports.get(NEXT + each)!))],
  });
}

/** Some steps, and what is done after them. What is held lies outside of the inner loop, which copies none of it. */
export function roundGraph(
  steps: GraphProto,
  body: OnnxModel,
  settle: OnnxModel,
  { proto }: WrittenGraph,
  state: readonly string[],
  held: readonly string[],
): GraphProto {
  const ports = new Map([...body.inputs, ...settle.inputs, ...settle.outputs].map((port) => [port.name, port]));
  const named = (name: string, like: string) => valueInfo({ ...ports.get(like)!, name });
  const anew = new Set(suffixes(settle.outputs, BEGIN));
  const nodes = [
    plainNode("Mul", ["round", "every"], ["round/start"]),
    plainNode("Sub", ["trips", "round/start"], ["round/left"]),
    plainNode("Min", ["round/left", "every"], ["round/steps"]),
    controlNode(
      "Loop",
      ["round/steps", "", ...state.map((each) => `round/${each}`)],
      state.map((each) => ENDED + each),
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
      ...state.map((each) => named(`round/${each}`, STATE + each)),
      ...held.map((each) => valueInfo(ports.get(HELD + each)!)),
    ],
    output: [
      valueInfo(scalar("round/again.next", "bool")),
      ...state.map((each) => named((anew.has(each) ? BEGIN : ENDED) + each, STATE + each)),
      ...held.map((each) => named(NEXT_HELD + each, HELD + each)),
    ],
  });
}
