import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { TensorARError, type TensorData } from "@tensorar/core";
import { DECODER, DEVICE_RESIDENT, IMAGE_DECODER, NEXT_SUB_TOKEN } from "@tensorar/manifest";
import type { OwnBackbone } from "@tensorar/model";
import type { AnyProgram } from "@tensorar/program";
import type { LoadedTextEncoder } from "@tensorar/text-encoder/node";
import type { Named } from "./open-graph";
import type { OpenedExport } from "./opened-export";
import type { Arithmetic } from "./output-gaps";
import { exportedPrograms } from "./programs";
import { quantizedPrograms } from "./quantized-programs";
import { decoderInputs, factorRandom, imageInputs } from "./random-inputs";
import { loadSources, type SourceSizes } from "./sources";
import { requiredTextEncoder } from "./text-encoder";

/** What one graph of an export is compared with. */
export interface Reference {
  readonly file: string;
  /** The program that the graph is to compute, its weights quantized as the export's are. */
  readonly program: AnyProgram;
  /** The same in full precision, where the export's weights have fewer bits. */
  readonly full: AnyProgram | undefined;
  /** What the graph computes in. */
  readonly arithmetic: Arithmetic;
  /** Random inputs; of the decoder at the first, the middle and the last token that it may make final. */
  inputs(batch: number): readonly Named<TensorData>[];
}

/** The eager model of an export, graph by graph. */
export interface References {
  readonly graphs: readonly Reference[];
  /** Of an export whose end-to-end graph takes texts as tokens. */
  readonly textEncoder: LoadedTextEncoder | undefined;
  /** Frees the weights. */
  dispose(): void;
}

/** Where the eager model is, and what its random inputs depend on. */
export interface ReferenceOptions {
  readonly seed: number;
  /** Folders of the eager model; default: where the manifest says. */
  readonly model?: string;
  readonly tokenizer?: string;
  /** The model's, where this project does not have it. */
  readonly backbone?: OwnBackbone | undefined;
}

/** @throws TensorARError when the sources of the export can't be read, or it was not made from them */
export async function loadReferences({ dir, manifest }: OpenedExport, options: ReferenceOptions): Promise<References> {
  const modelDir = options.model ?? sourceDir(dir, "model", manifest.model);
  const tokenizerDir = options.tokenizer ?? sourceDir(dir, "tokenizer", manifest.tokenizer);
  const sources = await loadSources(modelDir, tokenizerDir, options.backbone);
  expectSameSizes(dir, manifest, modelDir, sources.sizes);
  const textEncoder = manifest.generation?.textEncoder && (await requiredTextEncoder(modelDir, sources.model));
  const exact = exportedPrograms(sources);
  const quantized = manifest.weights === "float32" ? undefined : await quantizedPrograms(dir, manifest, sources);
  const inputs = randomInputs(sources.sizes, options.seed);
  const graphs = [...exact.programs].flatMap(([file, program]): Reference[] => {
    if (!(file in manifest.files)) return [];
    const ofFile = inputs[file]!;
    // The image decoder is exported in full precision whatever the model is.
    const inFewerBits = file === IMAGE_DECODER ? undefined : quantized?.programs.get(file);
    const arithmetic = manifest.cache.dtype === "float16" && file !== IMAGE_DECODER ? "float16" : "float32";
    return inFewerBits
      ? [{ file, program: inFewerBits, full: program, arithmetic, inputs: ofFile }]
      : [{ file, program, full: undefined, arithmetic, inputs: ofFile }];
  });
  const dispose = () => {
    exact.dispose();
    quantized?.dispose();
  };
  return { graphs, textEncoder, dispose };
}

function randomInputs(sizes: SourceSizes, seed: number): Record<string, Reference["inputs"]> {
  const tokens = [...new Set([0, Math.floor(sizes.tokens / 2), sizes.tokens - 1])];
  const steps = (batch: number) => tokens.map((token) => decoderInputs(sizes, batch, token, seed));
  return {
    [DECODER]: steps,
    [DEVICE_RESIDENT]: steps,
    [NEXT_SUB_TOKEN]: (batch) => [factorRandom(sizes, batch, seed)],
    [IMAGE_DECODER]: (batch) => [imageInputs(sizes, batch, seed)],
  };
}

/** The folder that the manifest of the export in `dir` names. */
function sourceDir(dir: string, option: "model" | "tokenizer", path: string): string {
  const source = resolve(dir, path);
  if (existsSync(join(source, "config.json"))) return source;
  throw new TensorARError(
    `${join(source, "config.json")}: there is no such file, but ${dir} was made from there; say where it is now with --${option}`,
  );
}

/** The manifest must describe the sources: they may have been trained again, or be others. */
function expectSameSizes(dir: string, manifest: SourceSizes, modelDir: string, sizes: SourceSizes): void {
  const { dtype: _, ...cache } = manifest.cache; // the export's own
  for (const [key, value] of Object.entries(sizes)) {
    const exported = JSON.stringify({ ...manifest, cache }[key as keyof SourceSizes]);
    if (exported !== JSON.stringify(value)) {
      throw new TensorARError(
        `${dir} was not made from ${modelDir}: "${key}" is ${exported} in its config.json, ${JSON.stringify(value)} there; export it again`,
      );
    }
  }
}
