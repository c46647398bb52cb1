import type { OnnxModel } from "@tensorar/onnx";

/** Models whose condition is read in the prefill alone do not ask for it at every step. @param prefix of inputs that may go */
export function withoutUnusedInputs(model: OnnxModel, prefix = ""): OnnxModel {
  const { graph } = model;
  const used = new Set([...graph.nodes.flatMap(({ inputs }) => inputs), ...graph.outputs.map(({ value }) => value)]);
  const keeps = graph.inputs.map((value, i) => used.has(value) || !model.inputs[i]!.name.startsWith(prefix));
  return {
    ...model,
    inputs: model.inputs.filter((_, i) => keeps[i]),
    graph: { ...graph, inputs: graph.inputs.filter((_, i) => keeps[i]) },
  };
}
