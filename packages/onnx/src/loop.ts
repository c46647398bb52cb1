import { create } from "@bufbuild/protobuf";
import { type Nested, TensorARError } from "@tensorar/core";
import type { Spec, Tensors } from "@tensorar/program";
import type * as tf from "@tensorflow/tfjs-core";
import { controlNode, expectSameNames, sharedInitializers, suffixes, wholeInputs } from "./compose";
import { type GraphProto, GraphProtoSchema } from "./generated/onnx_pb";
import {
  BEGIN,
  bodyGraph,
  EMPTY,
  FINAL,
  FIXED,
  INITIAL,
  INSIDE,
  type LoopNames,
  NEXT,
  NEXT_COMMITTED,
  roundGraph,
} from "./loop-graphs";
import { type ComposedModel, composedModel, type OnnxModel, type Port } from "./model";
import { type Initializer, tensor, valueInfo, type WrittenGraph, writeScope } from "./serialize";
import { flattenSpecs } from "./specs";
import { type TraceOptions, traceModel } from "./trace";

type Specs = Nested<Spec>;
/** Tensors nested like specifications, which are given elsewhere. */
type Given<S> = Tensors<NoInfer<S>>;
/** What is nested like `S`, or less. */
type Some<S> = { readonly [K in keyof S]?: Tensors<S[K]> };

/** What is done after every so many steps, and after the last: it moves what is large out of the carry. */
export interface Flush<Carry, Committed> {
  readonly every: number;
  /** What was committed with what the steps carried; `carry` is what of it goes on as another. */
  run(given: { readonly carry: Given<Carry>; readonly committed: Given<Committed> }): {
    readonly committed: Given<Committed>;
    readonly carry: Some<NoInfer<Carry>>;
  };
  /**
   * Puts what only `body` reads into its own graph. ONNX Runtime on CPU prepares the weights of products when it loads them, but
   * looks for them no further out than the next graph, and such a product takes half the time. Files of weights must not be links
   * then: of graphs inside of others, ONNX refuses them.
   */
  readonly ownWeights?: boolean;
}

/** A loop as functions to trace. What each takes is nested like the specifications that it is named after. */
export interface LoopOptions<Inputs, Carry, Invariants, Committed, StepInputs, Outputs> {
  /** How often the body runs. */
  readonly tripCount: number;
  /** What `before` takes: inputs of the whole. */
  readonly inputs: Inputs;
  /** What goes from step to step; sizes may change on the way. A runtime copies it at every step. */
  readonly carry: Carry;
  /** What `before` computes once, and steps read. */
  readonly invariants: Invariants;
  /** With `flush`: what it grows, and steps read without a copy. */
  readonly committed?: Committed;
  /** What `body` takes besides: inputs of the whole. */
  readonly stepInputs: StepInputs;
  before(inputs: Given<Inputs>): {
    readonly carry: Given<Carry>;
    readonly invariants: Given<Invariants>;
    readonly committed?: Given<Committed>;
  };
  /** One step. @param given.step int32 [1]: 0, 1, … */
  body(given: {
    readonly carry: Given<Carry>;
    readonly invariants: Given<Invariants>;
    readonly committed?: Given<Committed>;
    readonly inputs: Given<StepInputs>;
    readonly step: tf.Tensor1D;
  }): Given<Carry>;
  readonly flush?: Flush<Carry, Committed> | undefined;
  /** The results, of what the last step carries. */
  after(given: {
    readonly carry: Given<Carry>;
    readonly invariants: Given<Invariants>;
    readonly inputs: Given<StepInputs>;
  }): Outputs;
  /** Of all parts. */
  readonly trace?: Omit<TraceOptions, "name">;
  /** Of `after`; default: that of all. */
  readonly traceAfter?: Omit<TraceOptions, "name">;
}

/**
 * One model that runs a function over and over: nothing leaves the runtime between the steps.
 *
 * @throws TensorARError when the parts do not fit one another, and as `trace` does
 */
export function loop<
  const Inputs extends object,
  const Carry extends object,
  const Invariants extends object,
  const StepInputs extends object,
  Outputs extends object,
  const Committed extends object = Readonly<Record<never, Spec>>,
>(name: string, options: LoopOptions<Inputs, Carry, Invariants, Committed, StepInputs, Outputs>): ComposedModel {
  const { tripCount, flush } = checked(options);
  const untyped = { traceAfter: options.trace ?? {}, ...options } as unknown as UntypedLoop;
  const parts = traceParts(untyped);
  const names = namesOf(untyped, parts);
  const written = {
    before: writeScope(parts.before, "before/"),
    body: writeScope(parts.body, "body/"),
    ...(parts.flush && { flush: writeScope(parts.flush, "flush/") }),
    after: writeScope(parts.after, "after/"),
  };
  const steps = bodyGraph(parts.body, written.body, names, flush && "round/start");
  const node =
    parts.flush && written.flush
      ? loopNode("rounds", names, roundGraph(steps, parts.flush, written.flush, names))
      : loopNode("trip_count", names, steps);
  const inputs = wholeInputs(Object.values(parts), INSIDE);
  const { outputs } = parts.after;
  const proto = create(GraphProtoSchema, {
    name,
    node: [...written.before.proto.node, node, ...written.after.proto.node],
    input: inputs.map(valueInfo),
    output: outputs.map(valueInfo),
  });
  const all = sharedInitializers([
    constants(tripCount, flush?.every),
    ...Object.values(written).map((part) => part.initializers),
  ]);
  const { body, ...others } = written;
  const owned = flush?.ownWeights ? ownedBy(body, Object.values(others)) : new Set<string>();
  const initializers = all.map((each) => (owned.has(each.tensor.name) ? { ...each, owner: steps } : each));
  return composedModel({ name, inputs, outputs }, { proto, initializers });
}

/** The loop's node, which goes from initial to final values. @param count name of the number of rounds or steps */
function loopNode(count: string, { carry, committed }: ReturnType<typeof namesOf>, body: GraphProto) {
  const first = [...carry.map(({ name }) => INITIAL + name), ...committed.map(({ name }) => EMPTY + name)];
  const last = [...carry.map(({ name }) => FINAL + name), ...committed.map(({ name }) => `flushed/${name}`)];
  return controlNode("Loop", [count, "", ...first], last, { body });
}

/** @throws TensorARError where there is nothing to count */
function checked<O extends { readonly tripCount: number; readonly flush?: { readonly every: number } | undefined }>(
  options: O,
): O {
  expectCount("trips", options.tripCount);
  if (options.flush) expectCount("steps between flushes", options.flush.every);
  return options;
}

function expectCount(what: string, count: number): void {
  if (!(Number.isInteger(count) && count > 0)) throw new TensorARError(`loop: ${count} ${what}; use 1 or more`);
}

/** {@link LoopOptions} without its types, which are for those who write a loop. */
interface UntypedLoop {
  readonly inputs: Specs;
  readonly carry: Specs;
  readonly invariants: Specs;
  readonly committed?: Specs;
  readonly stepInputs: object;
  before(inputs: object): { readonly carry: object; readonly invariants: object; readonly committed?: object };
  body(given: object): object;
  readonly flush?: { run(given: object): { readonly committed: object; readonly carry: object } } | undefined;
  after(given: object): object;
  readonly trace?: TraceOptions;
  readonly traceAfter?: TraceOptions;
}

interface Parts {
  readonly before: OnnxModel;
  readonly body: OnnxModel;
  readonly flush?: OnnxModel;
  readonly after: OnnxModel;
}

type Named<Key extends string> = Readonly<Record<Key, object>>;

/** Traces the parts under the names by which their graphs refer to each other. */
function traceParts({ before, body, after, flush, ...options }: UntypedLoop): Parts {
  const { inputs, carry, invariants, committed, stepInputs } = options;
  const carried = committed !== undefined && { committed };
  const part = (run: (given: never) => object, specs: object, form = options.trace): OnnxModel =>
    traceModel(run, specs as Specs, form);
  return {
    before: part((given: object) => {
      const begun = before(given);
      return { initial: begun.carry, ...(begun.committed && { empty: begun.committed }), fixed: begun.invariants };
    }, inputs),
    body: part(
      ({ state, committed, fixed, step, ...inputs }: Named<"state" | "fixed" | "step"> & { committed?: object }) => ({
        state: body({ carry: state, invariants: fixed, ...(committed && { committed }), step, inputs }),
      }),
      { state: carry, ...carried, fixed: invariants, step: { dtype: "int32", shape: [1] }, ...stepInputs },
    ),
    ...(flush && {
      flush: part(
        ({ ended, committed }: Named<"ended" | "committed">) => {
          const flushed = flush.run({ carry: ended, committed });
          return { committed: flushed.committed, begin: flushed.carry };
        },
        { ...carried, ended: carry },
      ),
    }),
    after: part(
      ({ final, fixed, ...inputs }: Named<"final" | "fixed">) => after({ carry: final, invariants: fixed, inputs }),
      { final: carry, fixed: invariants, ...stepInputs },
      options.traceAfter,
    ),
  };
}

/** The leaves of the carry and of what is committed. @throws TensorARError where a part returns others */
function namesOf({ carry, committed = {}, invariants }: UntypedLoop, { before, body, flush }: Parts): LoopNames {
  const namesIn = (specs: Specs) => flattenSpecs(specs).map(([name]) => name);
  const same = (what: string, model: OnnxModel, prefix: string, specs: Specs) =>
    expectSameNames("loop", what, suffixes(model.outputs, prefix), namesIn(specs));
  same('what before returns as "carry"', before, INITIAL, carry);
  same("what body returns", body, NEXT, carry);
  same('what before returns as "invariants"', before, FIXED, invariants);
  if (!flush) return { carry: ports(carry, body, NEXT), committed: [] };
  same('what before returns as "committed"', before, EMPTY, committed);
  same('what flush returns as "committed"', flush, NEXT_COMMITTED, committed);
  const unknown = suffixes(flush.outputs, BEGIN).find((name) => !namesIn(carry).includes(name));
  if (unknown !== undefined) throw new TensorARError(`loop: flush returns "${unknown}", which is no part of the carry`);
  return { carry: ports(carry, body, NEXT), committed: ports(committed, flush, NEXT_COMMITTED) };
}

/** Specifications as ports, in the types that the part has which returns them: those of float16 are float32 where they are traced. */
function ports(specs: Specs, model: OnnxModel, prefix: string): Port[] {
  const types = new Map(model.outputs.map(({ name, dtype }) => [name, dtype]));
  return flattenSpecs(specs).map(([name, spec]) => ({ name, ...spec, dtype: types.get(prefix + name) ?? spec.dtype }));
}

function constants(tripCount: number, every: number | undefined): Initializer[] {
  const scalar = (value: string, number: number): Initializer => ({
    tensor: tensor(value, "int64", []),
    bytes: new Uint8Array(BigInt64Array.of(BigInt(number)).buffer),
  });
  return [
    scalar("trip_count", tripCount),
    { tensor: tensor("one", "int64", [1]), bytes: new Uint8Array(BigInt64Array.of(1n).buffer) },
    ...(every ? [scalar("every", every), scalar("rounds", Math.ceil(tripCount / every))] : []),
  ];
}

/** Names of tensors that only this part reads. */
function ownedBy(part: WrittenGraph, others: readonly WrittenGraph[]): ReadonlySet<string> {
  const weights = ({ initializers }: WrittenGraph) => initializers.map(({ tensor }) => tensor.name);
  const elsewhere = new Set(others.flatMap(weights));
  return new Set(weights(part).filter((name) => !elsewhere.has(name)));
}
