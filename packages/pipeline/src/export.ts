import { TensorARError } from "@tensorar/core";
import {
  DECODER,
  DEVICE_RESIDENT,
  type ExportManifest,
  type GraphFile,
  IMAGE_DECODER,
  NEXT_SUB_TOKEN,
} from "@tensorar/manifest";
import {
  type CompiledFunction,
  ignoreUnread,
  openModel,
  type Runtime,
  type RuntimeOptions,
  type TensorData,
} from "@tensorar/onnx/run";
import { cachedDecoder, type Decoder, deviceResidentDecoder } from "@tensorar/sampler";
import { conditioningOf } from "./conditioning";
import { type Device, PROVIDERS } from "./device";
import { externalFiles } from "./external-data";
import { type Folder, refuseOther } from "./folder";
import type { AnyCondition, Conditions, Description, Opened } from "./opened";

/** Opens an export: its graphs, as its manifest says for this device. */
export async function openExport(
  folder: Folder,
  manifest: ExportManifest,
  runtime: Runtime,
  device: Device,
  signal: AbortSignal | undefined,
): Promise<Opened> {
  const opened: CompiledFunction[] = [];
  const dispose = async () => void (await Promise.all(opened.map((each) => each.dispose())));
  const open = async (file: GraphFile, state: readonly string[] = []) => {
    signal?.throwIfAborted();
    const run = await openGraph(folder, file, manifest, runtime, device, state);
    opened.push(run);
    return ignoreUnread(run);
  };
  try {
    const description = describe(manifest, folder.where);
    const resident = device === "webgpu" && manifest.files[DEVICE_RESIDENT] !== undefined;
    const step = resident ? await open(DEVICE_RESIDENT, STATE) : await open(DECODER);
    const next = manifest.files[NEXT_SUB_TOKEN] && (await open(NEXT_SUB_TOKEN));
    const images = await open(IMAGE_DECODER);
    return {
      description,
      decoder: decoderOf(manifest, description, step, next, resident),
      decode: async (codes) => {
        const N = codes.length / description.tokens;
        const data = { dtype: "int32", shape: [N, description.tokens], data: codes } as const;
        const outputs = (await images({ codes: data })) as { readonly images: TensorData };
        return outputs.images.data as Float32Array;
      },
      dispose,
    };
  } catch (error) {
    await dispose();
    throw error;
  }
}

const STATE = ["mask", "keys", "values"];

function decoderOf(
  manifest: ExportManifest,
  { conditions }: Description,
  step: CompiledFunction,
  next: CompiledFunction | undefined,
  resident: boolean,
): Decoder<AnyCondition> {
  const { tokens, windowSize, vocabSize, factors, cache, conditionPositions } = manifest;
  const conditioning = conditioningOf(conditions);
  const common = { tokens, windowSize, vocabSize, cache, conditioning, factors, nextSubToken: next };
  return resident
    ? deviceResidentDecoder({ ...common, conditionPositions, run: step })
    : cachedDecoder({ ...common, run: step });
}

async function openGraph(
  folder: Folder,
  file: GraphFile,
  { target, sessions }: ExportManifest,
  runtime: Runtime,
  device: Device,
  state: readonly string[],
): Promise<CompiledFunction> {
  const own = target === device ? sessions[file] : undefined;
  const { executionProviders = PROVIDERS[device], keepOnDevice: _, ...settings } = own ?? {};
  const providers = executionProviders as NonNullable<RuntimeOptions["providers"]>;
  const failed = (cause: Error): never => {
    throw new TensorARError(`${folder.nameOf(file)}: ${cause.message}`, { cause });
  };
  if (folder.pathOf)
    return openModel(folder.pathOf(file), { runtime, providers, state, session: settings }).catch(failed);
  const bytes = await folder.read(file);
  refuseOther(bytes, folder.nameOf(file));
  const externalData: { path: string; data: Uint8Array }[] = [];
  for (const path of externalFiles(bytes)) externalData.push({ path, data: await folder.read(path) });
  const session = { ...settings, ...(externalData.length > 0 && { externalData }) };
  return openModel(bytes, { runtime, providers, state, session }).catch(failed);
}

function describe(manifest: ExportManifest, where: string): Description {
  const { tokens, windowSize, vocabSize, grid, imageSize, classes, noiseRates, evidence, blanks = false } = manifest;
  return {
    tokens,
    windowSize,
    vocabSize,
    grid,
    imageSize,
    classes,
    noiseRates,
    evidence,
    blanks,
    conditions: conditionsIn(manifest, where),
  };
}

/** Of exports that name none, which are of Janus-Pro: as `janusPrompt` of `@tensorar/model`, which needs TensorFlow.js. */
const OLDER_TEMPLATE = "<|User|>: {}\n\n<|Assistant|>:<begin_of_image>";

function conditionsIn(manifest: ExportManifest, where: string): Conditions {
  const { condition, classes, unconditionalClass, padId, promptTemplate: template = OLDER_TEMPLATE } = manifest;
  const { maxPromptTokens: maxTokens } = manifest;
  const only = condition.condition;
  if (only) {
    const count = classes.length || (unconditionalClass > 0 ? unconditionalClass : (only.below ?? 1));
    return { kind: "class", count, none: unconditionalClass };
  }
  if (condition.prompt?.below !== undefined) {
    if (padId !== undefined) return { kind: "prompt", below: condition.prompt.below, padId, template, maxTokens };
    throw new TensorARError(`${where}: its manifest has no "padId", which prompts need; export the model again`);
  }
  const [positions, width] = condition.caption?.shape ?? [];
  if (typeof positions === "number" && typeof width === "number") return { kind: "caption", positions, width };
  throw new TensorARError(
    `${where}: conditions ${Object.keys(condition).join(", ")} are unknown; update this package`,
    {
      code: "unsupported",
    },
  );
}
