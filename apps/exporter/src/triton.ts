import { cp, mkdir, readdir } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { writeFileAtomic, writeFolderAtomic } from "@tensorar/checkpoint/node";
import { TensorARError } from "./errors";
import { type ExportManifest, readManifest } from "./manifest";

type Port = ExportManifest["files"]["decoder.onnx"]["inputs"][number];

const TYPES: Readonly<Record<string, string>> = {
  ...{ float32: "TYPE_FP32", float16: "TYPE_FP16", int32: "TYPE_INT32", int64: "TYPE_INT64", bool: "TYPE_BOOL" },
};
const VERSION = "1";

/**
 * Writes a model repository for NVIDIA Triton Inference Server: a model for each graph of an export, named after its file
 * (`decoder`, `image_decoder`, …), with `config.pbtxt` and version `1`. The batch is an axis like any other
 * (`max_batch_size: 0`), since a step's `position` has none. Triton reads weights beside each graph, so graphs that share a file
 * of them get copies.
 *
 * @throws TensorARError when the folder holds no export, or `out` exists
 */
export async function writeTriton(exported: string, out: string): Promise<string[]> {
  const manifest = await readManifest(exported);
  const graphs = Object.entries(manifest.files).flatMap(([file, ports]) => (ports ? [{ file, ...ports }] : []));
  const files = await readdir(exported);
  const folder = resolve(out);
  await mkdir(dirname(folder), { recursive: true });
  await writeFolderAtomic(folder, async (temporary) => {
    for (const { file, inputs, outputs } of graphs) {
      const name = modelName(file);
      const version = join(temporary, name, VERSION);
      await mkdir(version, { recursive: true });
      await cp(join(exported, file), join(version, "model.onnx"));
      // External data is found by the name that the graph holds.
      const shared = files.includes(`${file}.data`) ? file : "decoder.onnx";
      for (const data of files.filter((each) => each.startsWith(`${shared}.data`))) {
        if (file === "image-decoder.onnx" && shared !== file) continue; // has weights of its own
        await cp(join(exported, data), join(version, data));
      }
      await writeFileAtomic(join(temporary, name, "config.pbtxt"), configText(name, inputs, outputs, manifest.target));
    }
  });
  return graphs.map(({ file }) => modelName(file));
}

const modelName = (file: string): string => basename(file, ".onnx").replaceAll("-", "_");

function configText(
  name: string,
  inputs: readonly Port[],
  outputs: readonly Port[],
  target: ExportManifest["target"],
): string {
  const onGpu = target === "cuda" || target === "tensorrt";
  const port = ({ name, dtype, shape }: Port): string => {
    const type = TYPES[dtype];
    if (type === undefined) throw new TensorARError(`"${name}" is ${dtype}, which Triton does not take; export again`);
    const dims = shape.map((size) => (typeof size === "string" ? -1 : size)).join(", ");
    return `  {\n    name: "${name}"\n    data_type: ${type}\n    dims: [ ${dims} ]\n  }`;
  };
  const accelerator = `optimization {\n  execution_accelerators {\n    gpu_execution_accelerator: [ { name: "tensorrt" } ]\n  }\n}\n`;
  return (
    `name: "${name}"\nplatform: "onnxruntime_onnx"\nmax_batch_size: 0\n` +
    `input [\n${inputs.map(port).join(",\n")}\n]\noutput [\n${outputs.map(port).join(",\n")}\n]\n` +
    `instance_group [ { kind: ${onGpu ? "KIND_GPU" : "KIND_CPU"}, count: 1 } ]\n` +
    (target === "tensorrt" ? accelerator : "")
  );
}
