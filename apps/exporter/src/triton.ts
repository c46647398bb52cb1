import { copyFile, mkdir, readdir, readFile } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { TensorARError } from "@tensorar/core";
import { checkFolder, writeFileAtomic, writeFolderAtomic } from "@tensorar/core/node";
import type { ExportManifest } from "@tensorar/manifest";
import { GENERATION } from "@tensorar/manifest";
import { readManifest } from "@tensorar/manifest/node";
import { fileSharer } from "./link";
import { writing } from "./writing";

type Ports = ExportManifest["files"]["decoder.onnx"];
type Port = Ports["inputs"][number];

const TYPES: Readonly<Record<string, string>> = {
  float32: "TYPE_FP32",
  float16: "TYPE_FP16",
  int32: "TYPE_INT32",
  int64: "TYPE_INT64",
  bool: "TYPE_BOOL",
};
const VERSION = "1";
const BATCH = "batch";
/** Images that Triton puts together from requests; TensorRT's engines are built for as many. */
const LARGEST_BATCH = 32;

/**
 * Writes a model repository for NVIDIA Triton Inference Server. An export with all of generation in one graph becomes one
 * model, `generation`: a request is a condition, a seed and a scale, and the answer is the image. Without that graph there is a
 * model for each step, named after its file (`decoder`, `image_decoder`, …), and the loop is the client's.
 *
 * Where every input and output begins with the batch, Triton batches requests dynamically; a decoder step's `position` does not.
 * Files are hard links to the export's where the file system allows it: weights that graphs share exist once. A loop that holds
 * its own weights, as for CPUs, takes no links: then they are copies.
 *
 * @throws TensorARError when the folder holds no export, `out` exists, or the system refuses
 */
export async function writeTriton(exported: string, out: string): Promise<string[]> {
  const { files, target } = await readManifest(exported);
  await checkFolder(exported);
  const served = files[GENERATION] ? { [GENERATION]: files[GENERATION] } : files;
  const graphs = Object.entries(served).flatMap(([file, ports]) => (ports ? [{ file, ports }] : []));
  const weights = (await readdir(exported)).filter((each) => /\.data(_\d+)?$/.test(each));
  const folder = resolve(out);
  const share = files[GENERATION] && target === "cpu" ? copyFile : fileSharer();
  await writing(dirname(folder), mkdir(dirname(folder), { recursive: true }));
  const repository = writeFolderAtomic(folder, async (temporary) => {
    for (const { file, ports } of graphs) {
      const name = modelName(file);
      const version = join(temporary, name, VERSION);
      await mkdir(version, { recursive: true });
      await share(join(exported, file), join(version, "model.onnx"));
      // A graph names the files of its weights, which it looks for beside itself.
      const graph = weights.length > 0 ? await readFile(join(exported, file)) : undefined;
      for (const data of weights) if (graph!.includes(data)) await share(join(exported, data), join(version, data));
      await writeFileAtomic(join(temporary, name, "config.pbtxt"), configText(name, ports, target));
    }
  });
  await writing(folder, repository);
  return graphs.map(({ file }) => modelName(file));
}

const modelName = (file: string): string => basename(file, ".onnx").replaceAll("-", "_");

/** A model's configuration as protobuf text: message ModelConfig of Triton's `model_config.proto`. */
function configText(name: string, { inputs, outputs }: Ports, target: ExportManifest["target"]): string {
  const batched = [...inputs, ...outputs].every(({ shape }) => shape[0] === BATCH);
  const list = (ports: readonly Port[]) => ports.map((port) => portText(port, batched)).join(",\n");
  const onGpu = target === "cuda" || target === "tensorrt";
  const accelerator = `optimization {\n  execution_accelerators {\n    gpu_execution_accelerator: [ { name: "tensorrt" } ]\n  }\n}\n`;
  return (
    `name: "${name}"\nplatform: "onnxruntime_onnx"\nmax_batch_size: ${batched ? LARGEST_BATCH : 0}\n` +
    `input [\n${list(inputs)}\n]\noutput [\n${list(outputs)}\n]\n` +
    (batched ? "dynamic_batching { }\n" : "") +
    `instance_group [ { kind: ${onGpu ? "KIND_GPU" : "KIND_CPU"}, count: 1 } ]\n` +
    (target === "tensorrt" ? accelerator : "")
  );
}

/** Triton adds the batch to the sizes itself. One number an image is given as [1], since sizes must not be empty. */
function portText({ name, dtype, shape }: Port, batched: boolean): string {
  const type = TYPES[dtype];
  if (type === undefined) throw new TensorARError(`"${name}" is ${dtype}, which Triton does not take; export again`);
  const sizes = (batched ? shape.slice(1) : shape).map((size) => (typeof size === "string" ? -1 : size));
  const dims = sizes.length > 0 ? `dims: [ ${sizes.join(", ")} ]` : "dims: [ 1 ]\n    reshape { shape: [ ] }";
  return `  {\n    name: "${name}"\n    data_type: ${type}\n    ${dims}\n  }`;
}
