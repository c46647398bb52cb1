import { describeIssues, parseJson, TensorARError, underTodaysNames } from "@tensorar/core";
import { z } from "zod";
import {
  DECODER,
  DEVICE_RESIDENT,
  EXPORT_KIND,
  GENERATION,
  GRAPHS,
  type GraphFile,
  IMAGE_DECODER,
  NEXT_SUB_TOKEN,
} from "./files";
import { sessionSettingsSchema, TARGETS } from "./session-settings";

const port = z.strictObject({
  name: z.string(),
  dtype: z.string(),
  /** A string is a size that is free at every run, by its name. */
  shape: z.array(z.union([z.int(), z.string()])),
});
const graph = z.strictObject({ inputs: z.array(port), outputs: z.array(port) });

/** Inputs and outputs of one graph. */
export type GraphPorts = z.infer<typeof graph>;

/** The path of a folder on this machine: on Windows, reading one of a share tells its server who the user is. */
const source = z.string().regex(/^(?![\\/]{2})/, "a folder of another machine");

/** Of all drafts, or of each depth. */
const draftTemperature = z.union([z.number().positive(), z.array(z.number().positive()).readonly()]);

const schema = z.strictObject({
  kind: z.literal(EXPORT_KIND),
  /** Folders that the export was made from, relative to the export's own. */
  model: source,
  tokenizer: source,
  windowSize: z.int().positive(),
  tokens: z.int().positive(),
  vocabSize: z.int().positive(),
  /** V_0, V_1 where a token consists of two sub-tokens: `code = c_0 + c_1 · V_0`. */
  factors: z.array(z.int().positive()).exactOptional(),
  unconditionalClass: z.int(),
  /** The text token of padding, where conditions are prompts. */
  padId: z.int().nonnegative().exactOptional(),
  /** Where conditions are prompts: what is tokenized, a description in place of `{}`. Exports of Janus-Pro may lack it. */
  promptTemplate: z.string().exactOptional(),
  /** Where prompts have a longest: tokens of it; longer ones lose their end. */
  maxPromptTokens: z.int().positive().exactOptional(),
  /** null: as many as the prompt is long. */
  conditionPositions: z.int().positive().nullable(),
  /** Parts of one image's condition, without the batch; under "condition" where it is a single tensor. */
  condition: z.record(
    z.string(),
    z.strictObject({
      dtype: z.enum(["float32", "int32"]),
      shape: z.array(z.union([z.int().positive(), z.string()])),
      /** Integers are smaller than this. */
      below: z.int().positive().optional(),
    }),
  ),
  /** Width of the states that the sub-tokens are predicted from. */
  stateWidth: z.int().positive(),
  cache: z.strictObject({
    layers: z.int().positive(),
    heads: z.int().positive(),
    headDim: z.int().positive(),
    /** float32 unless said; float16 where the graphs compute in it. */
    dtype: z.literal("float16").exactOptional(),
  }),
  /** Rows and columns of codes. */
  grid: z.tuple([z.int().positive(), z.int().positive()]),
  imageSize: z.int().positive(),
  classes: z.array(z.string()),
  noiseRates: z.array(z.number()),
  /** s_1 … s_(k-1) of models with explicit evidence, whose logits are without it. */
  evidence: z.array(z.number()).exactOptional(),
  /** True where BLANK entries, -2, stand for drafts that are not known; other models know none. */
  blanks: z.literal(true).exactOptional(),
  /** Number format of the decoder's matrices. */
  weights: z.enum(["float32", "float16", "int8", "int4"]).default("float32"),
  /** The runtime that it was made for. */
  target: z.enum(TARGETS).default("cpu"),
  /** What to open each graph with there, by file. */
  sessions: z.partialRecord(z.enum(GRAPHS), sessionSettingsSchema).default({}),
  /** How `generation.onnx` draws codes, where there is one. */
  generation: z
    .strictObject({
      topK: z.union([z.int().nonnegative(), z.array(z.int().nonnegative()).readonly()]),
      topP: z.union([z.number(), z.array(z.number()).readonly()]),
      guidance: z
        .discriminatedUnion("kind", [
          z.strictObject({ kind: z.literal("constant") }),
          z.strictObject({ kind: z.literal("interval"), interval: z.int() }),
          z.strictObject({ kind: z.literal("power-cosine"), power: z.number().positive() }),
        ])
        .exactOptional(),
      drafts: z
        .discriminatedUnion("kind", [
          z.strictObject({ kind: z.literal("raw"), temperature: draftTemperature.optional() }),
          z.strictObject({
            kind: z.literal("renoise"),
            temperature: draftTemperature.optional(),
            rates: z.array(z.number().min(0).max(1)).readonly().exactOptional(),
          }),
          z.strictObject({ kind: z.literal("argmax") }),
          z.strictObject({ kind: z.literal("noise") }),
          z.strictObject({ kind: z.literal("blank") }),
        ])
        .exactOptional(),
      draws: z.enum(["step", "position"]).exactOptional(),
      leaveOneOut: z.number().min(0).max(1).exactOptional(),
      /** Where its condition is texts as tokens, which the model's own text encoder reads. */
      textEncoder: z
        .strictObject({
          /** Slots of a text. */
          maxLength: z.int().positive(),
          /** Tokens are smaller than this. */
          below: z.int().positive(),
          /** Where tokens of short texts are filled up. */
          padding: z.enum(["left", "right"]),
        })
        .exactOptional(),
    })
    .exactOptional(),
  /** Inputs and outputs of each graph, by the names in the file. */
  files: z.strictObject({
    [DECODER]: graph,
    [IMAGE_DECODER]: graph,
    [DEVICE_RESIDENT]: graph.optional(),
    [NEXT_SUB_TOKEN]: graph.optional(),
    [GENERATION]: graph.optional(),
  } satisfies Record<GraphFile, unknown>),
});

/** Values of a step's cache, or of an image: more than ten times what the largest published model has. */
const MOST = 2 ** 30;

const checked = schema.superRefine(({ cache, tokens, grid, imageSize, windowSize, vocabSize }, context) => {
  const refuse = (path: string[], message: string) => context.addIssue({ code: "custom", path, message });
  if (grid[0] * grid[1] !== tokens) refuse(["tokens"], `not the ${grid.join(" x ")} tokens of "grid"`);
  const positions = cache.layers * cache.heads * cache.headDim * tokens;
  if (positions > MOST) refuse(["cache"], `${positions} values of ${tokens} tokens, where ${MOST} are the most`);
  if (windowSize * vocabSize > MOST) refuse(["vocabSize"], `too many for windows of ${windowSize}`);
  if (imageSize > 2 ** 14) refuse(["imageSize"], `at most ${2 ** 14}`);
});

/** Names that exports made before version 0.1 may have. */
const current = underTodaysNames({ nullCondition: "unconditionalClass", conditionSlots: "conditionPositions" });

/** What a runtime needs to know of an export besides the graphs: `config.json` of the folder. */
export type ExportManifest = z.infer<typeof schema>;

/** Name of a condition that is one tensor. */
export const ONLY = "condition";

/** An image's condition: one tensor, or several by name. */
export const conditionOf = ({ condition }: Pick<ExportManifest, "condition">) => condition[ONLY] ?? condition;

/** The manifest's file in the folder of an export. */
export const MANIFEST = "config.json";

/** What a folder with a manifest is, for messages. */
export const WHAT = "a folder written by `tensorar-exporter export`";

/** @throws TensorARError naming `where` and what is wrong, when the value is no manifest */
export function checkManifest(value: unknown, where: string): ExportManifest {
  const result = checked.safeParse(current(value));
  if (!result.success) throw new TensorARError(`${where}: not ${WHAT}: ${describeIssues(result.error.issues, value)}`);
  return result.data;
}

/**
 * The manifest in the contents of its file, `config.json` of an export.
 * @param where what an error names: a path or a URL
 * @throws TensorARError naming `where` and what is wrong
 */
export const parseManifest = (contents: Uint8Array | string, where: string): ExportManifest =>
  checkManifest(parseJson(contents, where), where);

/**
 * The manifest of an export that a server holds.
 * @param folder URL of the folder
 * @param options.fetch default: the environment's own
 * @throws TensorARError when the server refuses or gives something else; the reason of `signal` when it aborts
 */
export async function fetchManifest(
  folder: string | URL,
  {
    fetch = globalThis.fetch,
    signal,
  }: { readonly fetch?: typeof globalThis.fetch; readonly signal?: AbortSignal } = {},
): Promise<ExportManifest> {
  const url = `${String(folder).replace(/\/$/, "")}/${MANIFEST}`;
  const response = await fetch(url, signal ? { signal } : {}).catch((cause: Error) => {
    signal?.throwIfAborted();
    throw new TensorARError(`${url}: ${cause.message}; check the address and the connection`, { code: "io", cause });
  });
  if (!response.ok)
    throw new TensorARError(`${url}: the server answers ${response.status}; expected ${WHAT}`, { code: "missing" });
  return parseManifest(new Uint8Array(await response.arrayBuffer()), url);
}
