import { type CommandBody, type Progress, startProgress } from "@tensorar/cli";
import { checkOutputFile } from "@tensorar/core/node";
import { loadBackbone } from "@tensorar/model/node";
import { loadRuntime } from "@tensorar/onnx/node";
import type { Settings } from "../declarations/precision";
import { comparePrecision } from "../precision";
import { eagerBackend } from "../runtimes";
import { formatTable } from "../table";
import { saveJson } from "./save-json";

export const command: CommandBody<Settings> = {
  async run({ model, tokenizer, json, overwrite, conditions, backbone, ...options }, signal) {
    if (json !== undefined) await checkOutputFile(json, { overwrite });
    await eagerBackend();
    let progress: Progress | undefined;
    const gaps = await comparePrecision(model, tokenizer, loadRuntime([import.meta.url]), {
      ...options,
      backbone: await loadBackbone(backbone),
      ...(conditions !== undefined && { conditions }),
      onStep(done, total, weights) {
        signal.throwIfAborted();
        progress ??= startProgress("precision", total, "steps");
        progress.update(done, weights);
      },
    });
    progress?.stop();
    const percent = (part: number) => `${(100 * part).toFixed(2)} %`;
    const rows = gaps.map(({ weights, of, predictions, maxAbsError, kl, sameTop1, sameDrawn }) => [
      ...[`${weights}, ${of}`, String(predictions), maxAbsError.toPrecision(2), kl.toExponential(1)],
      ...[percent(sameTop1), percent(sameDrawn)],
    ]);
    const columns = ["weights", "predictions", "largest logit difference", "mean KL"];
    console.log(formatTable([...columns, "same top-1 code", "same code drawn"], rows));
    await saveJson(json, gaps);
  },
};
