import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { TensorARError } from "./errors";

const spec = z.object({ dtype: z.enum(["float32", "int32"]), shape: z.array(z.union([z.number(), z.string()])) });

const schema = z.strictObject({
  /** Folders that the export was made from, relative to where the command ran. */
  model: z.string(),
  tokenizer: z.string(),
  windowSize: z.int().positive(),
  tokens: z.int().positive(),
  vocabSize: z.int().positive(),
  nullCondition: z.int(),
  conditionSlots: z.int().positive(),
  cache: z.object({ layers: z.int(), heads: z.int(), headDim: z.int() }),
  grid: z.tuple([z.int(), z.int()]),
  imageSize: z.int().positive(),
  classes: z.array(z.string()),
  noiseRates: z.array(z.number()),
  files: z.record(z.string(), z.object({ inputs: z.record(z.string(), z.union([spec, z.array(spec)])) })),
});

/** What a runtime needs to know of an export besides the graphs: `config.json` of the folder. */
export type ExportManifest = z.infer<typeof schema>;

export async function readManifest(dir: string): Promise<ExportManifest> {
  const path = join(dir, "config.json");
  let parsed: unknown;
  try {
    parsed = JSON.parse(await readFile(path, "utf8"));
  } catch (error) {
    throw new TensorARError(
      `${path}: ${(error as Error).message}; is this a folder written by \`tensorar-exporter export\`?`,
    );
  }
  const result = schema.safeParse(parsed);
  if (!result.success)
    throw new TensorARError(`${path}: not an export of this version:\n${z.prettifyError(result.error)}`);
  return result.data;
}
