import { mkdir } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { writeFileAtomic, writeFolderAtomic } from "@tensorar/checkpoint/node";
import { type OnnxModel, type Quantization, saveModel, type TensorSpec, trace } from "@tensorar/onnx";
import * as tf from "@tensorflow/tfjs-core";
import { TensorARError } from "./errors";
import { DECODER, decoderStep, type ExportedFunction, IMAGE_DECODER, imageDecoder, type Named } from "./functions";
import type { ExportManifest } from "./manifest";
import { loadSources, sourcePath } from "./sources";

/**
 * Writes `decoder.onnx`, `image-decoder.onnx` and `config.json` for a model and its tokenizer. The folder appears when
 * all three are complete. `weights` is the number format of the decoder's matrices; TensorAR's own modules, a few percent
 * of them, and all that is no matrix product stay in float32.
 *
 * @throws TensorARError when the two do not belong together, `out` exists, or the system refuses
 */
export async function exportFolders(
  modelDir: string,
  tokenizerDir: string,
  out: string,
  { weights = "float32" }: { readonly weights?: ExportManifest["weights"] } = {},
): Promise<ExportManifest> {
  const { model, tokenizer, sizes } = await loadSources(modelDir, tokenizerDir);
  const graphs = {
    [DECODER]: traced(decoderStep(model), "decoder", QUANTIZATION[weights]),
    [IMAGE_DECODER]: traced(imageDecoder(tokenizer, sizes.grid), "image-decoder"),
  } as const;
  const manifest: ExportManifest = {
    kind: "tensorar-export",
    model: sourcePath(out, modelDir),
    tokenizer: sourcePath(out, tokenizerDir),
    ...sizes,
    weights,
    files: { [DECODER]: portsOf(graphs[DECODER]), [IMAGE_DECODER]: portsOf(graphs[IMAGE_DECODER]) },
  };
  const folder = resolve(out);
  await writing(dirname(folder), mkdir(dirname(folder), { recursive: true }));
  await writeFolderAtomic(folder, async (temporary) => {
    for (const [file, graph] of Object.entries(graphs))
      await writing(join(out, file), saveModel(graph, join(temporary, file)));
    await writeFileAtomic(join(temporary, "config.json"), `${JSON.stringify(manifest, null, 2)}\n`);
  });
  return manifest;
}

const keep = (name: string): boolean => name.startsWith("tensorar.");
const QUANTIZATION = { float32: undefined, int8: { bits: 8, keep }, int4: { bits: 4, keep } } as const;

function traced<Inputs extends Named<TensorSpec>>(
  fn: ExportedFunction<Inputs>,
  name: string,
  quantize?: Quantization,
): OnnxModel {
  try {
    const options = { weights: fn.weights, name, ...(quantize && { quantize }) };
    return trace((inputs: Parameters<typeof fn.run>[0]) => fn.run(inputs), fn.inputs, options);
  } finally {
    tf.dispose(fn.weights);
  }
}

const portsOf = ({ inputs, outputs }: OnnxModel): ExportManifest["files"][typeof DECODER] => {
  const plain = ({ name, dtype, shape }: OnnxModel["inputs"][number]) => ({ name, dtype, shape: [...shape] });
  return { inputs: inputs.map(plain), outputs: outputs.map(plain) };
};

/** The system's refusal as a message for the user. */
const writing = async (path: string, work: Promise<unknown>): Promise<void> => {
  try {
    await work;
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    if (code === undefined) throw cause;
    const remedy = code === "ENOSPC" ? "the disk is full; free space, or use another disk" : "choose another --out";
    throw new TensorARError(`cannot write "${path}": ${message}; ${remedy}`, { cause });
  }
};
