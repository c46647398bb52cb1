import { TensorARError } from "@tensorar/core";
import type { Runtime } from "@tensorar/onnx/run";
import type { Device } from "./device";
import { remoteFolder, urlOf } from "./folder";
import { type LoadOptions, load, type Source } from "./load";
import type { Platform } from "./platform";
import { LoadedModel } from "./tensorar";
import { textTokenizer } from "./text";

export { TensorARError } from "@tensorar/core";
export type { Caption, DraftPolicy, Guidance } from "@tensorar/sampler";
export type { Subject } from "./conditioning";
export type { Device } from "./device";
export type { FolderFiles, LoadProgress } from "./folder";
export { RgbaImage } from "./image";
export type { LoadOptions, Source } from "./load";
export type { Conditions, Description, Tracing } from "./opened";
export { type GeneratedImages, type GenerateOptions, LoadedModel, type StepProgress } from "./tensorar";
export type { TextLibrary } from "./text";

const BROWSER: Platform = {
  defaultDevice: "wasm",
  open: (source, options) => remoteFolder(urlOf(source, globalThis.location?.href) as URL, options),
  runtime: browserRuntime,
  async tracing() {
    throw new TensorARError(
      "this is a model folder, which must be traced: pass the option tracing, from @tensorar/pipeline/tracing; " +
        "or export it with tensorar-exporter and load that, which needs much less",
      { code: "missing" },
    );
  },
};

async function browserRuntime(device: Device): Promise<Runtime> {
  if (device === "webgpu") {
    if ((globalThis.navigator as { readonly gpu?: unknown } | undefined)?.gpu) return import("onnxruntime-web/webgpu");
    throw new TensorARError('this browser has no WebGPU; use another one, or device: "wasm"', { code: "unsupported" });
  }
  if (device === "wasm" || device === "cpu") return import("onnxruntime-web");
  throw new TensorARError(`device "${device}" is not for browsers; use "webgpu" or "wasm"`, { code: "unsupported" });
}

export class TensorAR extends LoadedModel {
  /**
   * Loads a model: an export of `tensorar-exporter`, or a model folder.
   *
   * @param source URL of the folder, or a path relative to the page, or its files. In Node also the path of a folder, or the
   *   name of installed weights, such as `emoji/tensorar`
   * @throws TensorARError naming the file, the package or the device and what is wrong; the reason of `signal` when it aborts
   */
  static async load(source: Source, options: LoadOptions = {}): Promise<TensorAR> {
    const { opened, folder } = await load(BROWSER, source, options);
    return new TensorAR(opened, {
      tokens: textTokenizer(
        folder,
        async () => options.text ?? noTexts("pass the option text, the namespace of @tensorar/text"),
      ),
      caption: async () => noTexts("a model of captions takes features there: pass the option caption"),
      dispose: async () => {},
    });
  }
}

function noTexts(remedy: string): never {
  throw new TensorARError(`prompts that are texts can't be read here; ${remedy}`, {
    code: "unsupported",
  });
}
