import { create } from "@bufbuild/protobuf";
import { TensorARError } from "./errors";
import {
  AttributeProto_AttributeType,
  AttributeProtoSchema,
  GraphProtoSchema,
  type NodeProto,
  NodeProtoSchema,
} from "./generated/onnx_pb";
import { ONNX_TYPES } from "./graph";
import type { ComposedModel, OnnxModel, Port } from "./model";
import { type Initializer, tensor, valueInfo, writeScope } from "./serialize";

/**
 * The parts of a loop, as `trace` made them. They refer to each other by names:
 * - `before` returns `{ initial: { … } }`, the first state;
 * - `body` takes `{ state: { … }, step }` and returns the next `{ state: { … } }`; `step` is int32 [1], 0, 1, …;
 * - `after` takes `{ final: { … } }`, as much of the last state as it needs, and returns the results.
 * Each may also take inputs of the whole, which have the same names in all.
 */
export interface LoopParts {
  readonly before: OnnxModel;
  readonly body: OnnxModel;
  readonly after: OnnxModel;
  /** How often the body runs. */
  readonly trips: number;
}

const STEP = "step";
const [INITIAL, STATE, NEXT, FINAL] = ["initial/", "state/", "state.next/", "final/"];

/**
 * One model that runs a traced function over and over: nothing leaves the runtime between the steps. Sizes of the state may
 * change from step to step.
 *
 * @throws TensorARError when the parts do not fit one another
 */
export function composeLoop(name: string, { before, body, after, trips }: LoopParts): ComposedModel {
  if (!(Number.isInteger(trips) && trips > 0)) throw new TensorARError(`composeLoop: ${trips} trips; use 1 or more`);
  const state = suffixes(body.inputs, STATE);
  expectSame("the first state of before", suffixes(before.outputs, INITIAL), state);
  expectSame("the next state of body", suffixes(body.outputs, NEXT), state);
  const unknown = suffixes(after.inputs, FINAL).find((suffix) => !state.includes(suffix));
  if (unknown !== undefined)
    throw new TensorARError(`composeLoop: after takes final/${unknown}, which body has no state for`);
  const parts = {
    before: writeScope(before, "before/"),
    body: writeScope(body, "body/"),
    after: writeScope(after, "after/"),
  };
  const constants: Initializer[] = [
    { tensor: tensor("trips", "int64", []), bytes: new Uint8Array(BigInt64Array.of(BigInt(trips)).buffer) },
    { tensor: tensor("one", "int64", [1]), bytes: new Uint8Array(BigInt64Array.of(1n).buffer) },
  ];
  const loop = node(
    "Loop",
    ["trips", "", ...state.map((each) => INITIAL + each)],
    state.map((each) => FINAL + each),
  );
  loop.attribute.push(
    create(AttributeProtoSchema, {
      name: "body",
      type: AttributeProto_AttributeType.GRAPH,
      g: bodyGraph(body, parts.body, state),
    }),
  );
  const proto = create(GraphProtoSchema, {
    name,
    node: [...parts.before.proto.node, loop, ...parts.after.proto.node],
    input: wholeInputs([before, body, after]).map(valueInfo),
    output: after.outputs.map(valueInfo),
  });
  // Weights that several parts use are the same tensors.
  const initializers = new Map<string, Initializer>();
  for (const each of [...constants, ...Object.values(parts).flatMap((part) => part.initializers)])
    if (!initializers.has(each.tensor.name)) initializers.set(each.tensor.name, each);
  const inputs = wholeInputs([before, body, after]);
  return { name, inputs, outputs: after.outputs, written: { proto, initializers: [...initializers.values()] } };
}

/** The body with the counter and the condition that a loop has; what else it reads lies outside of it. */
function bodyGraph(body: OnnxModel, { proto }: ReturnType<typeof writeScope>, state: readonly string[]) {
  const ports = new Map([...body.inputs, ...body.outputs].map((port) => [port.name, port]));
  const scalar = (name: string, dtype: Port["dtype"]): Port => ({ name, dtype, shape: [] });
  const counting = [
    node("Cast", ["iteration"], ["body/step"], "to", ONNX_TYPES.int32),
    node("Reshape", ["body/step", "one"], [STEP]),
    node("Identity", ["again"], ["again.next"]),
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

function node(opType: string, input: string[], output: string[], attribute?: string, value = 0): NodeProto {
  const attributes =
    attribute === undefined
      ? []
      : [create(AttributeProtoSchema, { name: attribute, type: AttributeProto_AttributeType.INT, i: BigInt(value) })];
  return create(NodeProtoSchema, { opType, name: `loop/${opType}`, input, output, attribute: attributes });
}

/** What follows a prefix in the names that have it. */
const suffixes = (ports: readonly Port[], prefix: string): string[] =>
  ports.flatMap(({ name }) => (name.startsWith(prefix) ? [name.slice(prefix.length)] : []));

function expectSame(what: string, given: readonly string[], wanted: readonly string[]): void {
  if ([...given].sort().join() === [...wanted].sort().join()) return;
  throw new TensorARError(`composeLoop: ${what} is ${given.join(", ") || "empty"}, the body's is ${wanted.join(", ")}`);
}

/** Inputs of the whole, each once. */
function wholeInputs(parts: readonly OnnxModel[]): Port[] {
  const found = new Map<string, Port>();
  for (const { inputs } of parts)
    for (const port of inputs)
      if (port.name !== STEP && !port.name.startsWith(STATE) && !port.name.startsWith(FINAL) && !found.has(port.name))
        found.set(port.name, port);
  return [...found.values()];
}
