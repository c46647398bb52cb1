import { parseJson, quote, requireOptions, TensorARError } from "@tensorar/core";
import { EXPORT_KIND, parseManifest } from "@tensorar/manifest";
import type { Runtime } from "@tensorar/onnx/run";
import { checkDevice, type Device } from "./device";
import { openExport } from "./export";
import { type Folder, type FolderFiles, folderOf, type LoadProgress } from "./folder";
import type { Opened, Tracing } from "./opened";
import type { Platform } from "./platform";
import type { TextLibrary } from "./text";

/** Where a model runs, and who is told how its loading goes on. */
export interface LoadOptions {
  /** What runs the model. Default: what an export was made for; the processor for model folders. */
  readonly device?: Device | undefined;
  /** Folder of a model's tokenizer. Default: `tokenizer` in the model's folder, or beside it. Exports hold theirs. */
  readonly tokenizer?: string | URL | undefined;
  /** ONNX Runtime's namespace, in place of the one that is imported for the device. */
  readonly runtime?: Runtime | undefined;
  /** For model folders in a browser: `tracing` of `@tensorar/pipeline/tracing`. Node finds it by itself. */
  readonly tracing?: Tracing | undefined;
  /** For prompts that are texts in a browser: the namespace of `@tensorar/text`. Node finds it by itself. */
  readonly text?: TextLibrary | undefined;
  /** Called as files are read. */
  readonly onProgress?: ((progress: LoadProgress) => void) | undefined;
  /** Stops loading, which then throws the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/** What was opened, the folder that it came from, and what runs it. */
export interface Loaded {
  readonly opened: Opened;
  readonly folder: Folder;
  readonly runtime: Runtime;
  readonly device: Device;
}

/** What a model is loaded from: URL or path of a folder, or its files. */
export type Source = string | URL | FolderFiles;

/** Opens a model by what its folder holds. */
export async function load(platform: Platform, source: Source, options: LoadOptions): Promise<Loaded> {
  requireOptions("load", options, []);
  const { signal, onProgress, tokenizer: given } = options;
  if (options.device !== undefined) checkDevice(options.device);
  signal?.throwIfAborted();
  const reading = { signal, onProgress };
  const folder = isFiles(source) ? folderOf(source, reading) : platform.open(source, reading);
  const name = folder.nameOf("config.json");
  const contents = await readConfig(folder);
  const config = parseJson(contents, name);
  const isExport = (config as { readonly kind?: unknown } | null)?.kind === EXPORT_KIND;
  if (isExport && given !== undefined)
    throw new TensorARError(
      `${folder.where} is an export, which holds its image decoder; leave tokenizer ${quote(String(given))} out`,
    );
  const manifest = isExport ? parseManifest(contents, name) : undefined;
  const target = manifest && (manifest.target === "cpu" ? platform.defaultDevice : manifest.target);
  const device = options.device ?? target ?? platform.defaultDevice;
  const runtime = options.runtime ?? (await platform.runtime(device));
  signal?.throwIfAborted();
  if (manifest) return { opened: await openExport(folder, manifest, runtime, device, signal), folder, runtime, device };
  const tracing = options.tracing ?? (await platform.tracing());
  const tokenizer = given === undefined ? await tokenizerBeside(folder) : platform.open(given, reading);
  const opened = await tracing({ config, model: folder, tokenizer, runtime, device, signal });
  return { opened, folder, runtime, device };
}

const isFiles = (source: Source): source is FolderFiles => source instanceof Map;

async function readConfig(folder: Folder): Promise<Uint8Array> {
  try {
    return await folder.read("config.json");
  } catch (cause) {
    if (!(cause instanceof TensorARError && cause.code === "missing")) throw cause;
    throw new TensorARError(
      `${cause.message}; expected a folder of \`tensorar-exporter export\`, or a model folder of \`tensorar\``,
      { code: "missing", cause },
    );
  }
}

async function tokenizerBeside(model: Folder): Promise<Folder> {
  const places = [model.at("tokenizer/"), model.at("../tokenizer/")];
  for (const place of places) {
    try {
      await place.read("config.json");
      return place;
    } catch (error) {
      if (!(error instanceof TensorARError && error.code === "missing")) throw error;
    }
  }
  throw new TensorARError(
    `${model.where} is a model folder, and there is no tokenizer in ${places.map(({ where }) => where).join(" or ")}; ` +
      "name its folder by the option tokenizer",
    { code: "missing" },
  );
}
