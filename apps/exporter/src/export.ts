import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { TensorARError } from "@tensorar/core";
import { openOutputFolder, writeFileAtomic } from "@tensorar/core/node";
import type { ExportManifest, Target } from "@tensorar/manifest";
import { DECODER, DEVICE_RESIDENT, GENERATION, IMAGE_DECODER } from "@tensorar/manifest";
import type { OwnBackbone } from "@tensorar/model";
import { type ComposedModel, type OnnxModel, traceProgram } from "@tensorar/onnx";
import { saveModel, saveModels } from "@tensorar/onnx/node";
import { checkGraphSampling, type GraphSampling } from "@tensorar/sampler/graph";
import { endToEndGraph } from "./end-to-end";
import { exportedPrograms } from "./programs";
import { loadSources, type Sources, sourcePath } from "./sources";
import { graphForm, sessionSettings } from "./targets";
import { ownTextEncoder, textsOf } from "./text-encoder";
import { writing } from "./writing";

/** What an export is written for, and how. */
export interface ExportOptions {
  /** Number format of the decoder's matrices; default float32. */
  readonly weights?: ExportManifest["weights"];
  /**
   * The runtime that it is for: graphs are in the form that it runs fast, and its session settings go to the manifest. Without
   * one they are standard operators, with the settings for cpu.
   */
  readonly target?: Target;
  /** Also writes `generation.onnx`, all of generation in one graph. */
  readonly whole?: GraphSampling;
  /** The backbone of a model that this project does not have. */
  readonly backbone?: OwnBackbone | undefined;
  /** Whether an export that is there is replaced; default: no, it is an error. */
  readonly overwrite?: boolean;
  /** Stops it between two graphs, and between two tensors that are written. */
  readonly signal?: AbortSignal;
}

/** Graphs, their weights, the manifest, and what verify and bench may have written beside. */
const ENTRIES = [/^[\w-]+\.onnx(\.data(_\d+)?)?$/, "config.json", "verification.json", "timings.json"];

/**
 * Writes `decoder.onnx`, `image-decoder.onnx` and `config.json` for a model and its tokenizer, with `next-factor.onnx` where
 * tokens have sub-tokens. The folder appears when all are complete. `weights` is the number format of the decoder's matrices;
 * TensorAR's own modules, a few percent of them, and all that is no matrix product stay in float32.
 *
 * @throws TensorARError when the two do not belong together, `out` exists, or the system refuses; the reason of `signal` when it
 *   aborts, and then nothing is left
 */
export async function exportFolders(
  modelDir: string,
  tokenizerDir: string,
  out: string,
  { weights = "float32", target, whole, backbone, overwrite = false, signal }: ExportOptions = {},
): Promise<ExportManifest> {
  refuseRuntimeOnly(weights, target);
  const form = graphForm(weights, target);
  const sources = await loadSources(modelDir, tokenizerDir, backbone);
  const { model, tokenizer, sizes } = sources;
  const { factors = [sizes.vocabSize] } = sizes;
  if (whole) checkGraphSampling(whole, { ...sizes, factors: factors.length });
  const output = await openOutputFolder(out, { overwrite, entries: ENTRIES });
  const textEncoder = whole && (await ownTextEncoder(modelDir, model));
  const graphs: Record<string, OnnxModel | ComposedModel> = {
    ...(await tracedPrograms(sources, form, target === "webgpu", signal)),
    ...(whole && { [GENERATION]: endToEndGraph(model, tokenizer, sizes, whole, form, textEncoder) }),
  };
  const files = Object.fromEntries(Object.entries(graphs).map(([file, graph]) => [file, portsOf(graph)]));
  const inFloat16 = files[DECODER]!.inputs.some(({ name, dtype }) => name === "keys/0" && dtype === "float16");
  const manifest: ExportManifest = {
    kind: "tensorar-export",
    model: sourcePath(out, modelDir),
    tokenizer: sourcePath(out, tokenizerDir),
    ...sizes,
    ...(inFloat16 && { cache: { ...sizes.cache, dtype: "float16" } }),
    weights,
    target: target ?? "cpu",
    ...(whole && { generation: { ...whole, ...(textEncoder && { textEncoder: textsOf(textEncoder) }) } }),
    sessions: sessionSettings(target ?? "cpu", files as ExportManifest["files"], { ...sizes, weights }),
    files: files as ExportManifest["files"],
  };
  await output.write(async (temporary) => {
    const { [IMAGE_DECODER]: images, ...ofModel } = graphs;
    if (!whole) await writing(join(out, IMAGE_DECODER), saveModel(images!, join(temporary, IMAGE_DECODER), { signal }));
    await writing(join(out, DECODER), saveTogether(whole ? graphs : ofModel, temporary, signal));
    await writeFileAtomic(join(temporary, "config.json"), `${JSON.stringify(manifest, null, 2)}\n`);
  });
  return manifest;
}

/** @throws TensorARError where a target lacks the operator that such weights need */
function refuseRuntimeOnly(weights: ExportManifest["weights"], target: Target | undefined): void {
  const needsContrib = weights === "int8" || weights === "int4";
  if (needsContrib && (target === "tensorrt" || target === "coreml"))
    throw new TensorARError(
      `--weights ${weights} needs ONNX Runtime's MatMulNBits, which ${target} does not run; use float32 or float16`,
    );
}

type Form = ReturnType<typeof graphForm>;

/**
 * The graphs of the programs, by file. Images are decoded in float32, whatever the decoder's matrices are. Tracing one holds the
 * event loop, so a stop is seen between two.
 */
async function tracedPrograms(
  sources: Sources,
  { fuse, ...form }: Form,
  resident: boolean,
  signal: AbortSignal | undefined,
): Promise<Record<string, OnnxModel | ComposedModel>> {
  const { programs, dispose } = exportedPrograms(sources);
  const graphs: Record<string, OnnxModel | ComposedModel> = {};
  try {
    for (const [file, program] of programs) {
      if (file === DEVICE_RESIDENT && !resident) continue;
      graphs[file] = traceProgram(program, { ...(fuse && { fuse }), ...(file !== IMAGE_DECODER && form) });
      await setImmediate();
      signal?.throwIfAborted();
    }
    return graphs;
  } finally {
    dispose();
  }
}

/** A single graph holds its weights; several share theirs. */
async function saveTogether(
  graphs: Readonly<Record<string, OnnxModel | ComposedModel>>,
  dir: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  const paths = Object.fromEntries(Object.entries(graphs).map(([file, graph]) => [join(dir, file), graph]));
  const only = Object.keys(graphs).length === 1 ? graphs[DECODER] : undefined;
  if (only) await saveModel(only, join(dir, DECODER), { signal });
  else await saveModels(paths, join(dir, `${DECODER}.data`), { signal });
}

const portsOf = ({ inputs, outputs }: OnnxModel | ComposedModel): ExportManifest["files"][typeof DECODER] => {
  const plain = ({ name, dtype, shape }: OnnxModel["inputs"][number]) => ({ name, dtype, shape: [...shape] });
  return { inputs: inputs.map(plain), outputs: outputs.map(plain) };
};
