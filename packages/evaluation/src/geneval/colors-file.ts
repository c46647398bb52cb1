import { dirname, extname, resolve } from "node:path";
import { castTensor, type TensorData } from "@tensorar/checkpoint";
import { openCheckpoint, openNpz } from "@tensorar/checkpoint/node";
import { TensorARError } from "@tensorar/core";
import { readChecked } from "@tensorar/core/node";
import { type ColorEmbeddings, embedColors, type FeatureSet, GENEVAL_COLORS } from "@tensorar/metrics";
import { type Extractor, userExtractor, userTextEncoder } from "@tensorar/metrics/features";
import type { NodeRuntime } from "@tensorar/onnx/node";
import { openTextTokenizer } from "@tensorar/text/node";
import { z } from "zod";
import { preprocessingSchema } from "./detector-file";
import { within } from "./within";

const schema = z.strictObject({
  image: z.strictObject({
    /** ONNX file; paths are seen from the folder of this file. */
    model: z.string(),
    output: z.string(),
    token: z.int().optional(),
    preprocessing: preprocessingSchema,
  }),
  text: z.union([
    z.strictObject({
      model: z.string(),
      output: z.string(),
      /** Folder with tokenizer.json and tokenizer_config.json. */
      tokenizer: z.string(),
      length: z.int(),
    }),
    /** .npz or safetensors: by class name a tensor [10, dims], rows in the order of GenEval's colours. */
    z.strictObject({ embeddings: z.string() }),
  ]),
});

/** What a file says of a network like CLIP. */
export type ColorsFile = z.infer<typeof schema>;

/** Finds colours by a network like CLIP. */
export interface ColorNetwork {
  readonly extract: Extractor["extract"];
  readonly colors: ColorEmbeddings;
  dispose(): Promise<void>;
}

/** @throws TensorARError naming the file, and what does not fit */
export const readColorsFile = (path: string): Promise<ColorsFile> =>
  readChecked(path, schema, "the description of a network for colours (image, text)");

/**
 * @param classes that colours are asked of
 * @throws TensorARError naming the file, and what does not fit
 */
export async function openColors(
  path: string,
  { image, text }: ColorsFile,
  classes: readonly string[],
  runtime: NodeRuntime,
  threads: number,
): Promise<ColorNetwork> {
  const place = (file: string) => resolve(dirname(path), file);
  const { token, preprocessing, ...rest } = image;
  const texts =
    "embeddings" in text
      ? { colors: await storedColors(place(text.embeddings), classes), dispose: async () => {} }
      : await encodedColors(path, text, place, runtime, threads);
  const extractor = await within(path, () =>
    userExtractor({
      runtime,
      threads,
      ...rest,
      model: place(image.model),
      preprocessing,
      ...(token !== undefined && { token }),
    }),
  );
  return {
    colors: texts.colors,
    extract: (images) => within(path, () => extractor.extract(images)),
    async dispose() {
      await Promise.all([extractor.dispose(), texts.dispose()]);
    },
  };
}

async function encodedColors(
  path: string,
  text: Extract<ColorsFile["text"], { model: string }>,
  place: (file: string) => string,
  runtime: NodeRuntime,
  threads: number,
) {
  const tokenizer = await openTextTokenizer(place(text.tokenizer));
  const { output, length } = text;
  const encoder = await within(path, () =>
    userTextEncoder({
      runtime,
      threads,
      model: place(text.model),
      output,
      length,
      tokenize: tokenizer.encode,
      pad: tokenizer.pad ?? 0,
    }),
  );
  const colors = embedColors((texts) => encoder.embed(texts));
  return { colors: (name: string) => within(path, () => colors(name)), dispose: () => encoder.dispose() };
}

/** Embeddings that were computed before. */
async function storedColors(path: string, classes: readonly string[]): Promise<ColorEmbeddings> {
  const npz = extname(path) === ".npz";
  const file = npz ? await openNpz(path) : await openCheckpoint(path);
  try {
    const known = new Map<string, FeatureSet>();
    for (const name of classes) {
      const { shape } = file.names.includes(name) ? file.info(name) : { shape: undefined };
      if (shape?.length !== 2 || shape[0] !== GENEVAL_COLORS.length) {
        const found = shape ? `is [${shape.join(", ")}]` : "is missing";
        throw new TensorARError(
          `${path}: tensor "${name}" ${found}; it holds embeddings of that class in ${GENEVAL_COLORS.length} colours (${GENEVAL_COLORS.join(", ")}), one row each`,
        );
      }
      const { data } = castTensor((await file.read(name)) as TensorData, "float32");
      known.set(name, { data: data as Float32Array, count: shape[0]!, dims: shape[1]! });
    }
    return async (name) => known.get(name)!;
  } finally {
    await file.close();
  }
}
