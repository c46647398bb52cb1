import { type CommandBody, startProgress } from "@tensorar/cli";
import { TensorARError } from "@tensorar/core";
import { openDataset } from "@tensorar/data";
import {
  type ClassifierConfig,
  classifierAccuracy,
  classifierTask,
  openClassifier,
  partsOf,
  saveClassifier,
} from "@tensorar/evaluation";
import { train } from "@tensorar/training";
import type { Settings } from "../declarations/classifier";
import { openEngine } from "../open-engine";
import { recipeOf } from "../recipe";

export const command: CommandBody<Settings> = {
  async run(settings, signal) {
    const { data, output: out, widths, hidden, precision } = settings;
    const dataset = await openDataset(data);
    const { size } = dataset.info;
    const halvings = widths.length - 1;
    if (size % 2 ** halvings !== 0)
      throw new TensorARError(`--widths ${widths.join(",")}: images of ${size} px can't be halved ${halvings} times`);
    const config: ClassifierConfig = { imageSize: size, widths, hidden, parts: partsOf(dataset) };
    const recipe = recipeOf(settings);
    const run = { ...settings, out, recipe, signal, progress: startProgress, note: console.error };
    const tensors = await train(classifierTask(dataset, config, settings), run);
    const classifier = await openClassifier({ config, tensors }, await openEngine(settings));
    try {
      const accuracy = await classifierAccuracy(classifier, dataset, signal);
      await saveClassifier(out, { config, training: recipe, accuracy, tensors }, precision);
      for (const [name, value] of Object.entries(accuracy)) console.log(`${name}: ${Number(value.toFixed(4))}`);
    } finally {
      await classifier.dispose();
    }
    console.log(`classifier written to ${out}`);
  },
};
