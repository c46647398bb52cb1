import type { AnyProgram, HostTensors, Program, ProgramPart } from "@tensorar/program";
import { composeChoice } from "./choice";
import { type Feeds, type Only, openTraced, type Without } from "./compile";
import { ignoreUnread } from "./ignore-unread";
import type { ComposedModel, OnnxModel } from "./model";
import type { CompiledFunction, RuntimeOptions } from "./session";
import { type TraceOptions, traceModel } from "./trace";

/** How a graph is written, for the runtime that it is for. */
export type GraphForm = Pick<TraceOptions, "fuse" | "quantize">;

/** A program on ONNX Runtime; its `state` stays there between calls. */
export type CompiledProgram<S, O, K extends string = never> = CompiledFunction<
  Without<Feeds<S>, K>,
  Without<HostTensors<O>, K>,
  Only<Feeds<S>, K>,
  Only<HostTensors<O>, K>
>;

/** Models whose condition is read at the first step alone do not ask for it at every step. */
function withoutUnusedInputs(model: OnnxModel): OnnxModel {
  const { graph } = model;
  const used = new Set([...graph.nodes.flatMap(({ inputs }) => inputs), ...graph.outputs.map(({ value }) => value)]);
  const keeps = graph.inputs.map((value) => used.has(value));
  return {
    ...model,
    inputs: model.inputs.filter((_, i) => keeps[i]),
    graph: { ...graph, inputs: graph.inputs.filter((_, i) => keeps[i]) },
  };
}

/** The graph of a program, without the inputs that nothing reads: its function traced (see `trace`), or its branches, of which only one runs. */
export function traceProgram(program: AnyProgram, form: GraphForm = {}): OnnxModel | ComposedModel {
  const { name, inputs, weights, branches, run } = program;
  if (!branches) return withoutUnusedInputs(traceModel(run, inputs, { ...form, weights, name }));
  const traced = (part: ProgramPart) => traceModel(part.run, part.inputs, { ...form, weights });
  const { when } = branches;
  return composeChoice(name, {
    when,
    zero: traced(branches.whenZero),
    other: traced(branches.otherwise),
    after: withoutUnusedInputs(traced(branches.after)),
  });
}

/**
 * Opens a program on ONNX Runtime: a function of the same nesting that takes and returns host tensors. Its weights are copied and
 * may be disposed of afterwards. Inputs that its graph does not read may be given all the same.
 *
 * With `state: ["params", …]` the outputs under those keys are the next call's inputs and stay in the runtime; give them their
 * first values with `setState`.
 */
export async function compileProgram<S, O extends object, const K extends string = never>(
  program: Program<S, O>,
  { fuse, quantize, ...runtime }: RuntimeOptions<K> & GraphForm,
): Promise<CompiledProgram<S, O, K>> {
  const form = { ...(fuse && { fuse }), ...(quantize && { quantize }) };
  const opened = await openTraced(traceProgram(program, form), runtime);
  const run = ignoreUnread(opened) as CompiledFunction<unknown, unknown>;
  return run as CompiledProgram<S, O, K>;
}
