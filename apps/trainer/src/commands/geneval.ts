import { join } from "node:path";
import { type CommandBody, startProgress } from "@tensorar/cli";
import { TensorARError } from "@tensorar/core";
import { inWorkFolder, writeFileAtomic } from "@tensorar/core/node";
import { createTally, describeCounts, UNREADABLE } from "@tensorar/data";
import {
  classesOf,
  GENEVAL_FILES,
  type GenEvalReport,
  mergeResults,
  openColors,
  openDetector,
  openResults,
  type PromptedImage,
  promptedImages,
  readColorsFile,
  readDetectorFile,
  readPrompts,
  reportOf,
  scoreImages,
  writeResults,
} from "@tensorar/evaluation";
import { genEvalPage, genEvalTable } from "@tensorar/evaluation/report";
import { GENEVAL_COLORS, type GenEvalPrompt } from "@tensorar/metrics";
import { loadRuntime } from "@tensorar/onnx/node";
import type { Settings } from "../declarations/geneval";
import { imageOptions } from "../image-options";

export const command: CommandBody<Settings> = {
  async run(settings, signal) {
    const { merge, images } = settings;
    if ((merge === undefined) === (images === undefined))
      throw new TensorARError("give --images to score some, or --merge to put results together");
    const page = join(settings.output, "report.html");
    const { report } = await inWorkFolder({ ...settings, out: settings.output }, GENEVAL_FILES, async () => {
      const scored = merge ? { report: await mergeParts(settings), images: [] } : await score(settings, signal);
      await writeFileAtomic(page, await genEvalPage(scored.report, scored.images));
      await writeResults(settings.output, scored.report);
      return scored;
    });
    console.log(describeCounts({ taken: report.images.length, leftOut: report.leftOut }));
    console.log(genEvalTable(report));
    console.log(`look at ${page}`);
  },
};

async function mergeParts({ merge, output: out }: Settings): Promise<GenEvalReport> {
  const report = await mergeResults(merge!);
  await openResults(out, report.recipe, false);
  return report;
}

async function score(settings: Settings, signal: AbortSignal) {
  const { prompts, detector, colors, output: out, resume, threads } = settings;
  if (detector === undefined) throw new TensorARError("--images needs --detector, a JSON file that describes one");
  const files = {
    detector: await readDetectorFile(detector),
    colors: colors === undefined ? undefined : await readColorsFile(colors),
  };
  const tally = createTally();
  const given = prompts === undefined ? undefined : await readPrompts(prompts);
  const images = await promptedImages(settings.images!, given, imageOptions(settings), tally);
  const colored = checkPrompts(images, await classesOf(detector, files.detector), detector);
  if (colored.length > 0 && !files.colors)
    throw new TensorARError(`prompts name colours of ${colored.length} classes (${colored[0]}, …); give --colors`);
  const runtime = loadRuntime([import.meta.url]);
  const networks = {
    detector: await openDetector(detector, files.detector, runtime, threads),
    colors:
      files.colors && colored.length > 0
        ? await openColors(colors!, files.colors, colored, runtime, threads)
        : undefined,
  };
  try {
    const recipe = { images: settings.images, ...files };
    const done = await openResults(out, recipe, resume, console.error);
    const onBad = ({ name }: PromptedImage, error: Error) => {
      if (settings.onBadImage === "error") throw error;
      tally.add(UNREADABLE, name);
    };
    const results = await scoreImages(images, done, networks, out, onBad, {
      signal,
      progress: startProgress,
      note: console.error,
    });
    return { report: reportOf(recipe, results, tally.list()), images };
  } finally {
    await Promise.all([networks.detector.dispose(), networks.colors?.dispose()]);
  }
}

/**
 * Prompts must name what the networks know: an object that a detector has no name for would never be found.
 * @returns classes whose colour is asked for
 */
function checkPrompts(images: readonly PromptedImage[], classes: readonly string[], detector: string): string[] {
  const colored = new Set<string>();
  const check = ({ prompt, include, exclude }: GenEvalPrompt) => {
    for (const { class: name } of [...include, ...exclude])
      if (!classes.includes(name))
        throw new TensorARError(
          `"${prompt}": "${name}" is none of the ${classes.length} classes of ${detector}; name its labels as prompts do (GenEval has "computer mouse" and "tv remote"), such as by "coco-80"`,
        );
    for (const { class: name, color } of include) {
      if (color === undefined) continue;
      if (!(GENEVAL_COLORS as readonly string[]).includes(color))
        throw new TensorARError(`"${prompt}": "${color}" is none of GenEval's colours, ${GENEVAL_COLORS.join(", ")}`);
      colored.add(name);
    }
  };
  for (const prompt of new Set(images.map(({ prompt }) => prompt))) check(prompt);
  return [...colored];
}
