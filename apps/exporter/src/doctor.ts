import { describeMachine } from "@tensorar/cli";
import type { Places } from "@tensorar/core/node";
import { checkRuntimes } from "@tensorar/onnx/node";
import { program } from "./program";

/** What this machine has for the exporter; packages are looked for in `places`. */
export async function diagnose(places: Places): Promise<string> {
  const runtime = {
    title: "ONNX Runtime, for `verify`, `precision` and `bench`",
    packages: await checkRuntimes(places),
    remedy: "npm install --ignore-scripts onnxruntime-node",
  };
  return describeMachine(program, [runtime]);
}
