import { type CommandBody, type Progress, startProgress } from "@tensorar/cli";
import { checkOutputFile } from "@tensorar/core/node";
import { loadRuntime } from "@tensorar/onnx/node";
import { benchExport } from "../bench";
import type { Settings } from "../declarations/bench";
import { formatTable } from "../table";
import { saveJson } from "./save-json";

export const command: CommandBody<Settings> = {
  async run({ dir, threads, batch: batches, runs, json, overwrite, provider }, signal) {
    if (json !== undefined) await checkOutputFile(json, { overwrite });
    let progress: Progress | undefined;
    const timings = await benchExport(dir, loadRuntime([import.meta.url]), {
      threads,
      batches,
      runs,
      ...(provider && { provider }),
      onRun(done, total, file, batch) {
        signal.throwIfAborted();
        progress ??= startProgress("bench", total, "runs");
        progress.update(done, `${file}, batch ${batch}`);
      },
    });
    progress?.stop();
    const rows = timings.map(({ file, batch, milliseconds }) => [
      file,
      String(batch),
      milliseconds.toFixed(2),
      ((1000 * batch) / milliseconds).toFixed(0),
    ]);
    console.log(formatTable(["graph", "batch", "median ms", "rows a second"], rows));
    await saveJson(json, timings);
  },
};
