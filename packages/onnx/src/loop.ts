import { create } from "@bufbuild/protobuf";
import { TensorARError } from "@tensorar/core";
import { controlNode, expectSameNames, sharedInitializers, suffixes, wholeInputs } from "./compose";
import { GraphProtoSchema } from "./generated/onnx_pb";
import {
  BEGIN,
  bodyGraph,
  EMPTY,
  ENDED,
  FINAL,
  FIXED,
  HELD,
  INITIAL,
  NEXT,
  NEXT_HELD,
  roundGraph,
  STATE,
  STEP,
} from "./loop-graphs";
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
  /** Moves what is large out of the state now and then, since a runtime copies the state at every step. */
  readonly settle?: Settle;
}

/**
 * What is done after every so many steps, and after the last: `part` takes `{ held: { … }, ended: { … } }`, as much of the state
 * as it needs, and returns the next `{ held: { … } }` and `{ begin: { … } }`, the state to go on with where that is another. Then
 * `before` also returns `{ empty: { … } }`, the first `held`, and `body` may read as much of `{ held: { … } }` as it needs.
 */
export interface Settle {
  readonly every: number;
  readonly part: OnnxModel;
  /**
   * Puts what only `body` reads into its own graph. ONNX Runtime on CPU prepares the weights of products when it loads them, but
   * looks for them no further out than the next graph, and such a product takes half the time. Files of weights must not be links
   * then: of graphs inside of others, ONNX refuses them.
   */
  readonly ownWeights?: boolean;
}

/**
 * One model that runs a traced function over and over: nothing leaves the runtime between the steps. Sizes of the state may
 * change from step to step.
 *
 * @throws TensorARError when the parts do not fit one another
 */
export function composeLoop(name: string, loopParts: LoopParts): ComposedModel {
  const { before, body, after, trips, settle } = loopParts;
  if (!(Number.isInteger(trips) && trips > 0)) throw new TensorARError(`composeLoop: ${trips} trips; use 1 or more`);
  const { state, held } = namesOf(loopParts);
  const parts = {
    before: writeScope(before, "before/"),
    body: writeScope(body, "body/"),
    ...(settle && { settle: writeScope(settle.part, "settle/") }),
    after: writeScope(after, "after/"),
  };
  const whole = (value: string, number: number): Initializer => ({
    ...{ tensor: tensor(value, "int64", []), bytes: new Uint8Array(BigInt64Array.of(BigInt(number)).buffer) },
  });
  const constants: Initializer[] = [
    whole("trips", trips),
    { tensor: tensor("one", "int64", [1]), bytes: new Uint8Array(BigInt64Array.of(1n).buffer) },
    ...(settle ? [whole("every", settle.every), whole("rounds", Math.ceil(trips / settle.every))] : []),
  ];
  const first = [...state.map((each) => INITIAL + each), ...held.map((each) => EMPTY + each)];
  const last = [...state.map((each) => FINAL + each), ...held.map((each) => `settled/${each}`)];
  const steps = bodyGraph(body, parts.body, state, settle && "round/start");
  const loop = settle
    ? controlNode("Loop", ["rounds", "", ...first], last, {
        body: roundGraph(steps, body, settle.part, parts.settle!, state, held),
      })
    : controlNode("Loop", ["trips", "", ...first], last, { body: steps });
  const inputs = wholeInputs(
    [before, body, ...(settle ? [settle.part] : []), after],
    [STEP, STATE, FINAL, FIXED, HELD, ENDED],
  );
  const proto = create(GraphProtoSchema, {
    name,
    node: [...parts.before.proto.node, loop, ...parts.after.proto.node],
    input: inputs.map(valueInfo),
    output: after.outputs.map(valueInfo),
  });
  const initializers = sharedInitializers([constants, ...Object.values(parts).map((part) => part.initializers)]);
  const owned = settle?.ownWeights
    ? ownedBy(parts.body, [parts.before, parts.settle!, parts.after])
    : new Set<string>();
  return {
    ...{ name, inputs, outputs: after.outputs },
    written: {
      proto,
      initializers: initializers.map((each) => (owned.has(each.tensor.name) ? { ...each, owner: steps } : each)),
    },
  };
}

/** Names of tensors that only this part reads. */
function ownedBy(part: WrittenGraph, others: readonly WrittenGraph[]): ReadonlySet<string> {
  const weights = ({ initializers }: WrittenGraph) => initializers.map(({ tensor }) => tensor.name);
  const elsewhere = new Set(others.flatMap(weights));
  return new Set(weights(part).filter((name) => !elsewhere.has(name)));
}

/** What the state consists of, and what is held. @throws TensorARError when the parts do not fit one another */
function namesOf({ before, body, after, settle }: LoopParts): { readonly state: string[]; readonly held: string[] } {
  const state = suffixes(body.inputs, STATE);
  expectSameNames("composeLoop", "the first state of before", suffixes(before.outputs, INITIAL), state);
  expectSameNames("composeLoop", "the next state of body", suffixes(body.outputs, NEXT), state);
  expectKnown("after takes", FINAL, after.inputs, state, "body has no state for");
  const fixed = suffixes(before.outputs, FIXED);
  for (const [part, { inputs }] of Object.entries({ body, after, ...(settle && { settle: settle.part }) }))
    expectKnown(`${part} takes`, FIXED, inputs, fixed, "before does not return");
  return { state, held: settle ? heldNames(settle, before, body, state) : [] };
}

function heldNames({ every, part }: Settle, before: OnnxModel, body: OnnxModel, state: readonly string[]): string[] {
  if (!(Number.isInteger(every) && every > 0))
    throw new TensorARError(`composeLoop: settle every ${every} steps; use 1 or more`);
  const held = suffixes(part.inputs, HELD);
  expectSameNames("composeLoop", 'what before returns as "empty"', suffixes(before.outputs, EMPTY), held);
  expectSameNames("composeLoop", 'what settle returns as "held"', suffixes(part.outputs, NEXT_HELD), held);
  expectKnown("body takes", HELD, body.inputs, held, "settle does not hold");
  expectKnown("settle takes", ENDED, part.inputs, state, "body has no state for");
  expectKnown("settle returns", BEGIN, part.outputs, state, "body has no state for");
  return held;
}

/** @throws TensorARError where one of the ports with this prefix is not known by what follows it */
function expectKnown(
  what: string,
  prefix: string,
  ports: readonly Port[],
  known: readonly string[],
  lack: string,
): void {
  const unknown = suffixes(ports, prefix).find((suffix) => !known.includes(suffix));
  if (unknown !== undefined) throw new TensorARError(`composeLoop: ${what} ${prefix}${unknown}, which ${lack}`);
}
