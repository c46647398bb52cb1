import { type CommandBody, MOST } from "@tensorar/cli";
import { TensorARError } from "@tensorar/core";
import { checkOutputFile } from "@tensorar/core/node";
import { loadBackbone } from "@tensorar/model/node";
import { loadRuntime } from "@tensorar/onnx/node";
import type { Comparison } from "../compare-graph";
import type { Settings } from "../declarations/verify";
import { eagerBackend } from "../runtimes";
import { formatTable } from "../table";
import { verifyExport } from "../verify";
import { saveJson } from "./save-json";

export const command: CommandBody<Settings> = {
  async run({ dir, seed = Date.now() % MOST, batch: batches, json, overwrite, ...given }, signal) {
    const { provider, model, tokenizer, maxKl } = given;
    if (json !== undefined) await checkOutputFile(json, { overwrite });
    await eagerBackend();
    const sources = { ...(provider && { provider }), ...(model && { model }), ...(tokenizer && { tokenizer }) };
    const backbone = await loadBackbone(given.backbone);
    const options = { ...sources, seed, batches, maxKl, signal, backbone };
    const comparisons = await verifyExport(dir, loadRuntime([import.meta.url]), options);
    console.log(differencesTable(comparisons));
    if (comparisons.some(({ loss }) => loss !== null))
      console.log(`\nwhat fewer bits cost, against full precision:\n${lossesTable(comparisons)}`);
    await saveJson(json, comparisons);
    console.log(verdict(dir, comparisons, seed, maxKl));
  },
};

const percent = (part: number | null): string => (part === null ? "" : `${(100 * part).toFixed(1)} %`);

function differencesTable(comparisons: readonly Comparison[]): string {
  const rows = comparisons.map(({ file, output, batch, maxAbsError, largestValue, agreement, withinTolerance }) => [
    `${file} ${output}`,
    String(batch),
    maxAbsError.toExponential(1),
    largestValue.toPrecision(3),
    percent(agreement),
    withinTolerance ? "equal" : "DIFFERENT",
  ]);
  return formatTable(["output", "batch", "max abs error", "largest value", "same top-1 code", ""], rows);
}

function lossesTable(comparisons: readonly Comparison[]): string {
  const rows = comparisons.flatMap(({ file, output, batch, loss }) =>
    loss === null
      ? []
      : [
          [
            `${file} ${output}`,
            String(batch),
            loss.maxAbsError.toExponential(1),
            loss.kl.toExponential(1),
            percent(loss.sameTop1),
            loss.withinThreshold ? "accepted" : "TOO FAR",
          ],
        ],
  );
  return formatTable(["output", "batch", "max abs error", "mean KL", "same top-1 code", ""], rows);
}

/** @throws TensorARError when an output differs, or loses more than is accepted */
function verdict(dir: string, comparisons: readonly Comparison[], seed: number, maxKl: number): string {
  const quantized = comparisons.some((each) => each.quantized);
  const reference = quantized ? "the eager model with its weights quantized alike" : "the eager model";
  const bad = comparisons.filter(({ withinTolerance }) => !withinTolerance);
  if (bad.length > 0)
    throw new TensorARError(`${dir} differs from ${reference} in ${namesOf(bad)} (seed ${seed}); export it again`);
  const far = comparisons.filter(({ loss }) => loss?.withinThreshold === false);
  if (far.length > 0)
    throw new TensorARError(
      `${dir} loses more than ${maxKl} nats against full precision in ${namesOf(far)} (seed ${seed}); export it with more bits, or accept it with --max-kl`,
    );
  const largest = Math.max(...comparisons.map(({ maxAbsError }) => maxAbsError));
  return `the export equals ${reference}: max abs error ${largest.toExponential(1)} (seed ${seed})`;
}

const namesOf = (found: readonly Comparison[]): string =>
  [...new Set(found.map(({ file, output }) => `${file} ${output}`))].join(", ");
