import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { TensorARError } from "@tensorar/core";
import { fileError, weightsFolder } from "@tensorar/core/node";
import { loadRuntime } from "@tensorar/onnx/node";
import type { Runtime } from "@tensorar/onnx/run";
import type { TextEncoder } from "@tensorar/text-encoder";
import { type Device, PROVIDERS } from "./device";
import { type Folder, type ReadOptions, remoteFolder, urlOf } from "./folder";
import { type Loaded, type LoadOptions, load, type Source } from "./load";
import type { Tracing } from "./opened";
import type { Platform } from "./platform";
import { LoadedModel } from "./tensorar";
import { type TextReader, textTokenizer } from "./text";

export type {
  Caption,
  Conditions,
  Description,
  Device,
  DraftPolicy,
  FolderFiles,
  GeneratedImages,
  GenerateOptions,
  Guidance,
  LoadOptions,
  LoadProgress,
  Source,
  StepProgress,
  Subject,
  Tracing,
} from "./index";
export { LoadedModel, RgbaImage, TensorARError } from "./index";

const NODE: Platform = {
  defaultDevice: "cpu",
  open(source, options) {
    const url = urlOf(source);
    if (url === undefined) return localFolder(weightsFolder(String(source)), options);
    return url.protocol === "file:" ? localFolder(fileURLToPath(url), options) : remoteFolder(url, options);
  },
  runtime: nodeRuntime,
  tracing: nodeTracing,
};

function localFolder(dir: string, options: ReadOptions): Folder {
  const pathOf = (file: string) => join(dir, file);
  return {
    where: dir,
    nameOf: pathOf,
    pathOf,
    at: (path) => localFolder(join(dir, path), options),
    async read(file) {
      const { signal, onProgress } = options;
      const path = pathOf(file);
      try {
        const { size: total } = await stat(path);
        onProgress?.({ file, loaded: 0, total });
        const bytes = await readFile(path, signal ? { signal } : {});
        onProgress?.({ file, loaded: total, total });
        return bytes;
      } catch (cause) {
        signal?.throwIfAborted();
        if ((cause as NodeJS.ErrnoException).code !== "ENOENT") throw fileError("read", path, cause);
        throw new TensorARError(`${path}: there is no such file`, { code: "missing", cause });
      }
    },
  };
}

const REMEDIES: Partial<Record<Device, string>> = {
  webgpu: "it needs a GPU with a Vulkan driver and the loader libvulkan.so.1",
  cuda: "it needs Linux or Windows on x64, and onnxruntime-node with what its install script downloads",
  tensorrt: "it needs Linux or Windows on x64, and onnxruntime-node with what its install script downloads",
  directml: "DirectML is a part of Windows",
  coreml: "Core ML is a part of macOS",
};

async function nodeRuntime(device: Device): Promise<Runtime> {
  if (device === "wasm") {
    return import("onnxruntime-web").catch((cause: Error) => {
      const [reason] = cause.message.split("\n");
      throw new TensorARError(`ONNX Runtime can't be loaded (${reason}); run \`npm install onnxruntime-web\``, {
        code: "missing",
        cause,
      });
    });
  }
  const runtime = loadRuntime([import.meta.url]);
  const [wanted] = PROVIDERS[device];
  const supported = runtime.listSupportedBackends().map(({ name }) => name);
  if (supported.includes(wanted)) return runtime;
  throw new TensorARError(
    `device "${device}" can't be used: ONNX Runtime has ${supported.join(", ")} on ${process.platform} ${process.arch}; ` +
      `${REMEDIES[device] ?? ""}; choose another, such as device: "cpu"`,
    { code: "unsupported" },
  );
}

async function nodeTracing(): Promise<Tracing> {
  try {
    const [{ tracingBy }, { readSafetensors }] = await Promise.all([
      import("./tracing"),
      import("@tensorar/checkpoint/node"),
    ]);
    return tracingBy((folder) => readSafetensors(folder.nameOf("model.safetensors")));
  } catch (cause) {
    const packages = "@tensorar/model @tensorar/tokenizer @tensorar/checkpoint @tensorflow/tfjs-core";
    const [reason] = (cause as Error).message.split("\n");
    throw new TensorARError(
      `this is a model folder, and what traces it can't be loaded (${reason}); run \`npm install ${packages}\`, or export ` +
        "the model with tensorar-exporter and load that, which needs none of them",
      { code: "missing", cause },
    );
  }
}

/** A model that makes images; in Node, folders and names of packages are sources too. */
export class TensorAR extends LoadedModel {
  /**
   * Loads a model: an export of `tensorar-exporter`, or a model folder.
   *
   * @param source path or URL of the folder, the name of installed weights, such as `emoji/tensorar`, or a folder's files
   * @throws TensorARError naming the file, the package or the device and what is wrong; the reason of `signal` when it aborts
   */
  static async load(source: Source, options: LoadOptions = {}): Promise<TensorAR> {
    const loaded = await load(NODE, source, options);
    const library = async () => options.text ?? textLibrary();
    return new TensorAR(loaded.opened, { tokens: textTokenizer(loaded.folder, library), ...captionReader(loaded) });
  }
}

/** Features of captions by the text encoder that the model's folder names, which is opened when it is first needed. */
function captionReader({ folder, runtime, device }: Loaded): Pick<TextReader, "caption" | "dispose"> {
  let opened: Promise<TextEncoder> | undefined;
  const open = async (): Promise<TextEncoder> => {
    const { pathOf } = folder;
    if (!pathOf)
      throw new TensorARError(`${folder.where}: prompts that are texts need a model in a folder here; download it`, {
        code: "unsupported",
      });
    const { openTextEncoder, textEncoderOf } = await encoderLibrary();
    await (await import("./host-backend")).ensureBackend();
    return openTextEncoder(await textEncoderOf(pathOf(".")), { runtime, providers: PROVIDERS[device] });
  };
  return {
    async caption(text, { maxLength, width }) {
      opened ??= open();
      const encoder = await opened.catch((error) => {
        opened = undefined; // what was missing may be there next time
        throw error;
      });
      if (encoder.maxLength !== maxLength || encoder.width !== width)
        throw new TensorARError(
          `the text encoder of ${folder.where} makes features [${encoder.maxLength}, ${encoder.width}], and the model takes ` +
            `[${maxLength}, ${width}]; give it the encoder that it was trained with`,
          { code: "shape" },
        );
      const { features, mask, ...losses } = await encoder.encode([text]);
      const { encodingNotes } = await import("@tensorar/text-encoder"); // which made the encoder
      return {
        condition: { features, mask, dropped: losses.empty.length > 0 },
        notes: encodingNotes(losses, maxLength),
      };
    },
    dispose: async () => (await opened)?.dispose(),
  };
}

const encoderLibrary = (): Promise<typeof import("@tensorar/text-encoder/node")> =>
  import("@tensorar/text-encoder/node").catch((cause: Error) => {
    const [reason] = cause.message.split("\n");
    throw new TensorARError(
      `prompts for this model need a package (${reason}); run \`npm install @tensorar/text-encoder\``,
      {
        code: "missing",
        cause,
      },
    );
  });

const textLibrary = (): Promise<typeof import("@tensorar/text")> =>
  import("@tensorar/text").catch((cause: Error) => {
    const [reason] = cause.message.split("\n");
    throw new TensorARError(`prompts that are texts need a package (${reason}); run \`npm install @tensorar/text\``, {
      code: "missing",
      cause,
    });
  });
