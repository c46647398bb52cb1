import { create } from "@bufbuild/protobuf";
import { controlNode, expectSameNames, plainNode, sharedInitializers, suffixes, wholeInputs } from "./compose";
import { TensorARError } from "./errors";
import { type GraphProto, GraphProtoSchema } from "./generated/onnx_pb";
import { ONNX_TYPES } from "./graph";
import type { ComposedModel, OnnxModel, Port } from "./model";
import { type Initializer, tensor, valueInfo, type WrittenGraph, writeScope } from "./serialize";

/**
 * The parts of a loop, as `trace` made them. They refer to each other by names:
 * - `before` returns `{ initial: { … } }`, the first state, and may return `{ fixed: { … } }`, which stays as it is;
 * - `body` takes `{ state: { … }, step }` and returns the next `{ state: { … } }`; `step` is int32 [1], 0, 1, …;
 * - `after` takes `{ final: { … } }`, as much of the last state as it needs, and returns the results.
 *
 * `body` and `after` may take as much of `fixed` as they need, and each part inputs of the whole, which have the same names
 * in all.
 */
export interface LoopParts {
  readonly before: OnnxModel;
  readonly body: OnnxModel;
  readonly after: OnnxModel;
  /** How often the body runs. */
  readonly trips: number;
}

const STEP = "step";
const [INITIAL, STATE, NEXT, FINAL, FIXED] = ["initial/", "state/", "state.next/", "final/", "fixed/"] as const;

/**
 * One model that runs a traced function over and over: nothing leaves the runtime between the steps. Sizes of the state may
 * change from step to step.
 *
 * @throws TensorARError when the parts do not fit one another
 */
export function composeLoop(name: string, { before, body, after, trips }: LoopParts): ComposedModel {
  if (!(Number.isInteger(trips) && trips > 0)) throw new TensorARError(`composeLoop: ${trips} trips; use 1 or more`);
  const state = suffixes(body.inputs, STATE);
  expectSameNames("composeLoop", "the first state of before", suffixes(before.outputs, INITIAL), state);
  expectSameNames("composeLoop", "the next state of body", suffixes(body.outputs, NEXT), state);
  expectKnown(
    "after",
    suffixes(after.inputs, FINAL),
    state,
    (unknown) => `final/${unknown}, which body has no state for`,
  );
  for (const [part, { inputs }] of Object.entries({ body, after })) {
    const fixed = suffixes(before.outputs, FIXED);
    expectKnown(part, suffixes(inputs, FIXED), fixed, (unknown) => `fixed/${unknown}, which before does not return`);
  }
  const parts = {
    before: writeScope(before, "before/"),
    body: writeScope(body, "body/"),
    after: writeScope(after, "after/"),
  };
  const constants: Initializer[] = [
    { tensor: tensor("trips", "int64", []), bytes: new Uint8Array(BigInt64Array.of(BigInt(trips)).buffer) },
    { tensor: tensor("one", "int64", [1]), bytes: new Uint8Array(BigInt64Array.of(1n).buffer) },
  ];
  const first = state.map((each) => INITIAL + each);
  const last = state.map((each) => FINAL + each);
  const loop = controlNode("Loop", ["trips", "", ...first], last, { body: bodyGraph(body, parts.body, state) });
  const inputs = wholeInputs([before, body, after], [STEP, STATE, FINAL, FIXED]);
  const proto = create(GraphProtoSchema, {
    name,
    node: [...parts.before.proto.node, loop, ...parts.after.proto.node],
    input: inputs.map(valueInfo),
    output: after.outputs.map(valueInfo),
  });
  const initializers = sharedInitializers([constants, ...Object.values(parts).map((part) => part.initializers)]);
  return { name, inputs, outputs: after.outputs, written: { proto, initializers } };
}

function expectKnown(
  part: string,
  taken: readonly string[],
  known: readonly string[],
  what: (unknown: string) => string,
): void {
  const unknown = taken.find((suffix) => !known.includes(suffix));
  if (unknown !== undefined) throw new TensorARError(`composeLoop: ${part} takes ${what(unknown)}`);
}

/** The body with the counter and the condition that a loop has; what else it reads lies outside of it. */
function bodyGraph(body: OnnxModel, { proto }: WrittenGraph, state: readonly string[]): GraphProto {
  const ports = new Map([...body.inputs, ...body.outputs].map((port) => [port.name, port]));
  const scalar = (name: string, dtype: Port["dtype"]): Port => ({ name, dtype, shape: [] });
  const counting = [
    plainNode("Cast", ["iteration"], ["body/step"], ["to", ONNX_TYPES.int32]),
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
