import type { AnyProgram, Program, ProgramPart } from "@tensorar/program";
import { type CallInputs, type CallOutputs, openTraced, type StateInputs, type StateOutputs } from "./compile";
import { cond } from "./cond";
import { ignoreUnread } from "./ignore-unread";
import type { ComposedModel, OnnxModel } from "./model";
import type { CompiledFunction, RuntimeOptions } from "./session";
import { type TraceOptions, traceModel } from "./trace";

/** How a graph is written, for the runtime that it is for. */
export type GraphForm = Pick<TraceOptions, "fuse" | "quantize">;

/** A program on ONNX Runtime; its `state` stays there between calls. */
export type CompiledProgram<S, O, K extends string = never> = CompiledFunction<
  CallInputs<S, K>,
  CallOutputs<O, K>,
  StateInputs<S, K>,
  StateOutputs<O, K>
>;

/**
 * The graph of a program, without the inputs that nothing reads: its function traced (see `trace`), or its branches, of which
 * only one runs.
 */
export function traceProgram(program: AnyProgram, form: GraphForm = {}): OnnxModel | ComposedModel {
  const { name, inputs, weights, branches, run } = program;
  if (!branches) return traceModel(run, inputs, { ...form, weights, name });
  const traced = (part: ProgramPart) => traceModel(part.run, part.inputs, { ...form, weights });
  return cond(name, {
    zero: branches.when,
    thenBranch: traced(branches.whenZero),
    elseBranch: traced(branches.otherwise),
    after: traced(branches.after),
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
