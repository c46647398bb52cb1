import { create } from "@bufbuild/protobuf";
import { TensorARError } from "@tensorar/core";
import { controlNode, expectSameNames, plainNode, sharedInitializers, suffixes, wholeInputs } from "./compose";
import { type GraphProto, GraphProtoSchema } from "./generated/onnx_pb";
import type { ComposedModel, OnnxModel } from "./model";
import { type Initializer, tensor, valueInfo, type WrittenGraph, writeScope } from "./serialize";

/**
 * The parts of a choice, as `trace` made them:
 * - `zero` and `other` return `{ chosen: { … } }`, the same names and types; sizes may differ;
 * - `after` takes `{ chosen: { … } }` and returns the results.
 *
 * Each may also take inputs of the whole, which have the same names in all.
 */
export interface ChoiceParts {
  /** Name of an input int32 [1]: `zero` runs where it is 0, `other` elsewhere. */
  readonly when: string;
  readonly zero: OnnxModel;
  readonly other: OnnxModel;
  readonly after: OnnxModel;
}

const CHOSEN = "chosen/";

/**
 * One model that begins in one of two ways and goes on in one: only what is chosen runs, and what follows exists once.
 *
 * @throws TensorARError when the parts do not fit one another
 */
export function composeChoice(name: string, { when, zero, other, after }: ChoiceParts): ComposedModel {
  const chosen = suffixes(after.inputs, CHOSEN);
  for (const [part, { outputs }] of Object.entries({ zero, other }))
    expectSameNames("composeChoice", `what ${part} returns as "chosen"`, suffixes(outputs, CHOSEN), chosen);
  const inputs = wholeInputs([other, zero, after], [CHOSEN]);
  const switching = inputs.find((port) => port.name === when);
  if (switching?.dtype !== "int32" || switching.shape.join() !== "1")
    throw new TensorARError(`composeChoice: "${when}" is no input int32 [1] of a part; take one, by that name`);
  const names = chosen.map((each) => CHOSEN + each);
  // Results of the two branches need names of their own.
  const branches = { zero: writeScope(zero, "zero/"), other: writeScope(other, "other/") };
  const rest = writeScope(after, "after/");
  const constants: Initializer[] = [
    { tensor: tensor("zero", "int32", [1]), bytes: new Uint8Array(Int32Array.of(0).buffer) },
  ];
  const proto = create(GraphProtoSchema, {
    name,
    node: [
      plainNode("Equal", [when, "zero"], ["is-zero"]),
      controlNode("If", ["is-zero"], names, {
        then_branch: branchGraph("zero", zero, branches.zero, names),
        else_branch: branchGraph("other", other, branches.other, names),
      }),
      ...rest.proto.node,
    ],
    input: inputs.map(valueInfo),
    output: after.outputs.map(valueInfo),
  });
  const initializers = sharedInitializers([
    constants,
    ...[branches.zero, branches.other, rest].map((part) => part.initializers),
  ]);
  return { name, inputs, outputs: after.outputs, written: { proto, initializers } };
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
