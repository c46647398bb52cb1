import type { CommandBody } from "@tensorar/cli";
import { TensorARError } from "@tensorar/core";
import { openOutputFolder } from "@tensorar/core/node";
import { loadBackbone } from "@tensorar/model/node";
import type { GraphDrafts, GraphGuidance, GraphSampling } from "@tensorar/sampler/graph";
import type { Settings } from "../declarations/export";
import { exportFolders } from "../export";
import { eagerBackend } from "../runtimes";
import { writeTriton } from "../triton";

export const command: CommandBody<Settings> = {
  async run(settings, signal) {
    const backbone = await loadBackbone(settings.backbone);
    const { model, tokenizer, output: out, overwrite, weights, target, triton, endToEnd } = settings;
    const options = {
      weights,
      overwrite,
      signal,
      backbone,
      ...(target && { target }),
      ...(endToEnd && { whole: endToEndOptions(settings) }),
    };
    if (triton !== undefined) await openOutputFolder(triton, { overwrite: false, entries: [] }); // found before the work
    await eagerBackend();
    const { files } = await exportFolders(model, tokenizer, out, options);
    console.log(`${Object.keys(files).join(", ")} and config.json written to ${out}`);
    if (triton === undefined) return;
    const models = await writeTriton(out, triton);
    console.log(
      `models ${models.join(", ")} written to ${triton}; serve them with tritonserver --model-repository=${triton}`,
    );
  },
};

const endToEndOptions = (settings: Settings): GraphSampling => ({
  topK: settings.topK,
  topP: settings.topP,
  guidance: rampOf(settings),
  drafts: draftsOf(settings),
  ...(settings.draws !== "step" && { draws: settings.draws }),
  ...(settings.leaveOneOut !== undefined && { leaveOneOut: settings.leaveOneOut }),
});

function rampOf({ guidance: kind, interval, power }: Settings): GraphGuidance {
  if (kind === "constant") return { kind };
  if (kind === "interval") {
    if (interval === undefined)
      throw new TensorARError("--guidance interval needs --interval, the last decode step that is guided");
    return { kind, interval };
  }
  if (power === undefined) throw new TensorARError("--guidance power-cosine needs --power");
  return { kind, power };
}

function draftsOf({ drafts: kind, draftTemperature: temperature, draftRates: rates }: Settings): GraphDrafts {
  if (kind === "raw") return { kind, ...(temperature !== undefined && { temperature }) };
  if (kind === "renoise")
    return { kind, ...(temperature !== undefined && { temperature }), ...(rates && { rates: [0, ...rates] }) };
  return { kind };
}
