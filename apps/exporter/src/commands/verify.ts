import { type CommandBody, MOST } from "@tensorar/cli";
import { TensorARError } from "@tensorar/core";
import { checkOutputFile } from "@tensorar/core/node";
import { loadBackbone } from "@tensorar/model/node";
import { loadRuntime } from "@tensorar/onnx/node";
import type { Settings } from "../declarations/verify";
import { eagerBackend } from "../runtimes";
import { formatTable } from "../table";
import { verifyExport } from "../verify";
import { saveJson } from "./save-json";

export const command: CommandBody<Settings> = {
  async run({ dir, seed = Date.now() % MOST, batch: batches, json, overwrite, ...given }, signal) {
    const { provider, model, tokenizer } = given;
    if (json !== undefined) await checkOutputFile(json, { overwrite });
    await eagerBackend();
    const sources = { ...(provider && { provider }), ...(model && { model }), ...(tokenizer && { tokenizer }) };
    const comparisons = await verifyExport(dir, loadRuntime([import.meta.url]), {
      ...sources,
      seed,
      batches,
      maxKl: given.maxKl,
      signal,
      backbone: await loadBackbone(given.backbone),
    });
    const percent = (part: number | null) => (part === null ? "" : `${(100 * part).toFixed(1)} %`);
    const rows = comparisons.map(({ file, output, batch, maxAbsError, largestValue, agreement, ...verdict }) => [
      `${file} ${output}`,
      String(batch),
      maxAbsError.toExponential(1),
      largestValue.toPrecision(3),
      percent(agreement),
      verdict.withinTolerance ? "equal" : "DIFFERENT",
    ]);
    console.log(formatTable(["output", "batch", "max abs error", "largest value", "same top-1 code", ""], rows));
    const losses = comparisons.flatMap(({ file, output, batch, loss }) =>
      loss ? [{ file, output, batch, loss }] : [],
    );
    if (losses.length > 0) {
      const lost = losses.map(({ file, output, batch, loss }) => [
        `${file} ${output}`,
        String(batch),
        loss.maxAbsError.toExponential(1),
        loss.kl.toExponential(1),
        percent(loss.sameTop1),
        loss.withinThreshold ? "accepted" : "TOO FAR",
      ]);
      console.log("\nwhat fewer bits cost, against full precision:");
      console.log(formatTable(["output", "batch", "max abs error", "mean KL", "same top-1 code", ""], lost));
    }
    await saveJson(json, comparisons);
    const namesOf = (found: readonly { readonly file: string; readonly output: string }[]) =>
      [...new Set(found.map(({ file, output }) => `${file} ${output}`))].join(", ");
    const rounded = comparisons.some((each) => each.rounded);
    const reference = rounded ? "the eager model with its weights rounded alike" : "the eager model";
    const bad = comparisons.filter(({ withinTolerance }) => !withinTolerance);
    if (bad.length > 0)
      throw new TensorARError(`${dir} differs from ${reference} in ${namesOf(bad)} (seed ${seed}); export it again`);
    const far = losses.filter(({ loss }) => !loss.withinThreshold);
    if (far.length > 0)
      throw new TensorARError(
        `${dir} loses more than ${given.maxKl} nats against full precision in ${namesOf(far)} (seed ${seed}); export it with more bits, or accept it with --max-kl`,
      );
    const largest = Math.max(...comparisons.map(({ maxAbsError }) => maxAbsError));
    console.log(`the export equals ${reference}: max abs error ${largest.toExponential(1)} (seed ${seed})`);
  },
};
