import { optionsCall, testOptions } from "@tensorar/testing/options";
import { afterAll, beforeAll } from "vitest";
import { type GenerateOptions, TensorAR } from "../src/node";

let model: TensorAR;
beforeAll(async () => {
  model = await TensorAR.load("emoji/tensorar");
});
afterAll(() => model.dispose());

const options: GenerateOptions = {
  class: 0,
  count: 1,
  seed: 1,
  scale: 1,
  temperature: 1,
  topK: 0,
  topP: 1,
  drafts: { kind: "raw" },
  leaveOneOut: 0,
  draws: "step",
  probabilities: true,
  onStep: () => {},
};

testOptions({
  load: optionsCall({ device: "cpu" as const, onProgress: () => {} }, async (given) =>
    (await TensorAR.load("emoji/tensorar", given)).dispose(),
  ),
  generate: optionsCall(options, (given) => model.generate(given)),
});
