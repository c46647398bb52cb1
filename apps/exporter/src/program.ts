import { completionCommand, type Program, programManifest } from "@tensorar/cli";
import { benchCommand } from "./declarations/bench";
import { doctorCommand } from "./declarations/doctor";
import { exportCommand } from "./declarations/export";
import { precisionCommand } from "./declarations/precision";
import { verifyCommand } from "./declarations/verify";

/** `tensorar-exporter`: declarations only; what the commands do is loaded when one runs. */
export const program: Program = {
  ...programManifest(new URL("../package.json", import.meta.url)),
  name: "tensorar-exporter",
  description: "Export TensorAR models to verified ONNX.",
  commands: [
    exportCommand,
    verifyCommand,
    precisionCommand,
    benchCommand,
    doctorCommand,
    completionCommand(() => program),
  ],
};
