import { join } from "node:path";
import type { ExportManifest, GraphFile } from "@tensorar/manifest";
import { IMAGE_DECODER } from "@tensorar/manifest";
import { roundWeight, type WeightFormat, weightFormats } from "@tensorar/onnx";
import { readBytes } from "./open-graph";
import { type ExportedPrograms, exportedPrograms } from "./programs";
import type { Sources } from "./sources";

/**
 * The programs of a model whose weights are rounded as those of an export: what the export is to compute. Which weights it stores
 * in which format is read from its graphs; the values are the model's own, so that damaged ones of the export show.
 *
 * @throws TensorARError when a graph can't be read
 */
export async function quantizedPrograms(
  dir: string,
  { files }: Pick<ExportManifest, "files">,
  sources: Sources,
): Promise<ExportedPrograms> {
  const formats = new Map<string, WeightFormat>();
  for (const file of Object.keys(files) as GraphFile[])
    if (file !== IMAGE_DECODER)
      for (const [name, format] of weightFormats(await readBytes(join(dir, file)))) formats.set(name, format);
  const tensors = Object.fromEntries(
    Object.entries(sources.model.tensors).map(([name, tensor]) => {
      const format = formats.get(name);
      if (!format) return [name, tensor];
      return [name, { ...tensor, data: roundWeight(name, tensor.data as Float32Array, tensor.shape, format) }];
    }),
  );
  return exportedPrograms({ ...sources, model: { ...sources.model, tensors } });
}
