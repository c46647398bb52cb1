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
      signal,
      backbone: await loadBackbone(given.backbone),
    });
    const rows = comparisons.map(({ file, output, batch, largestDifference, largestValue, agreement, ...verdict }) => [
      `${file} ${output}`,
      String(batch),
      largestDifference.toExponential(1),
      largestValue.toPrecision(3),
      agreement === null ? "" : `${(100 * agreement).toFixed(1)} %`,
      verdict.withinTolerance ? (verdict.rounded ? "rounded" : "equal") : "DIFFERENT",
    ]);
    const columns = ["output", "batch", "largest difference", "largest value", "same likeliest code", ""];
    console.log(formatTable(columns, rows));
    await saveJson(json, comparisons);
    const bad = comparisons
      .filter(({ withinTolerance }) => !withinTolerance)
      .map(({ file, output }) => `${file} ${output}`);
    if (bad.length > 0) {
      throw new TensorARError(
        `${dir} differs from the eager model in ${[...new Set(bad)].join(", ")} (seed ${seed}); export it again`,
      );
    }
    const largest = Math.max(...comparisons.map(({ largestDifference }) => largestDifference));
    const relation = comparisons.some(({ rounded }) => rounded) ? "rounds the weights of" : "equals";
    console.log(
      `the export ${relation} the eager model: largest difference ${largest.toExponential(1)} (seed ${seed})`,
    );
  },
};
