import { create } from "@bufbuild/protobuf";
import { TensorARError } from "@tensorar/core";
import { controlNode, expectSameNames, plainNode, sharedInitializers, suffixes, wholeInputs } from "./compose";
import { type GraphProto, GraphProtoSchema } from "./generated/onnx_pb";
import { type ComposedModel, composedModel, type OnnxModel } from "./model";
import { type Initializer, tensor, valueInfo, type WrittenGraph, writeScope } from "./serialize";

/**
 * The parts of a conditional, as `trace` made them:
 * - `thenBranch` and `elseBranch` return `{ chosen: { … } }`, the same names and types; sizes may differ;
 * - `after` takes as much of `{ chosen: { … } }` as it needs and returns the results.
 *
 * Each may also take inputs of the whole, which have the same names in all.
 */
export interface CondParts {
  /** Name of an input int32 [1]: `thenBranch` runs where it is 0, `elseBranch` elsewhere. */
  readonly zero: string;
  readonly thenBranch: OnnxModel;
  readonly elseBranch: OnnxModel;
  readonly after: OnnxModel;
}

const CHOSEN = "chosen/";

/**
 * One model that begins in one of two ways and goes on in one: only what is chosen runs, and what follows exists once.
 *
 * @throws TensorARError when the parts do not fit one another
 */
export function cond(name: string, { zero, thenBranch, elseBranch, after }: CondParts): ComposedModel {
  const chosen = suffixes(thenBranch.outputs, CHOSEN);
  expectSameNames("cond", 'what elseBranch returns as "chosen"', suffixes(elseBranch.outputs, CHOSEN), chosen);
  const unknown = suffixes(after.inputs, CHOSEN).find((each) => !chosen.includes(each));
  if (unknown !== undefined)
    throw new TensorARError(`cond: after takes "chosen/${unknown}", which the branches do not return`);
  const inputs = wholeInputs([elseBranch, thenBranch, after], [CHOSEN]);
  const predicate = inputs.find((port) => port.name === zero);
  if (predicate === undefined) inputs.push({ name: zero, dtype: "int32", shape: [1] });
  else if (predicate.dtype !== "int32" || predicate.shape.join() !== "1")
    throw new TensorARError(`cond: "${zero}" is ${predicate.dtype} [${predicate.shape}]; use an input int32 [1]`);
  const names = chosen.map((each) => CHOSEN + each);
  // Results of the two branches need names of their own.
  const branches = { thenBranch: writeScope(thenBranch, "zero/"), elseBranch: writeScope(elseBranch, "other/") };
  const rest = writeScope(after, "after/");
  const constants: Initializer[] = [
    { tensor: tensor("zero", "int32", [1]), bytes: new Uint8Array(Int32Array.of(0).buffer) },
  ];
  const proto = create(GraphProtoSchema, {
    name,
    node: [
      plainNode("Equal", [zero, "zero"], ["is-zero"]),
      controlNode("If", ["is-zero"], names, {
        then_branch: branchGraph("zero", thenBranch, branches.thenBranch, names),
        else_branch: branchGraph("other", elseBranch, branches.elseBranch, names),
      }),
      ...rest.proto.node,
    ],
    input: inputs.map(valueInfo),
    output: after.outputs.map(valueInfo),
  });
  const initializers = sharedInitializers([
    constants,
    ...[branches.thenBranch, branches.elseBranch, rest].map((part) => part.initializers),
  ]);
  return composedModel({ name, inputs, outputs: after.outputs }, { proto, initializers });
}

/** A branch takes nothing and reads what it needs from outside; its results are told apart from what they become. */
function branchGraph(
  name: string,
  { outputs }: OnnxModel,
  { proto }: WrittenGraph,
  chosen: readonly string[],
): GraphProto {
  const inside = (output: string) => `${name}/${output}`;
  const results = new Map(outputs.map((port) => [port.name, port]));
  const node = proto.node.map((each) => ({
    ...each,
    input: each.input.map((input) => (results.has(input) ? inside(input) : input)),
    output: each.output.map((output) => (results.has(output) ? inside(output) : output)),
  }));
  return create(GraphProtoSchema, {
    name,
    node,
    output: chosen.map((each) => valueInfo({ ...results.get(each)!, name: inside(each) })),
  });
}
