import { describeIssues, TensorARError } from "@tensorar/core";
import type { T5Config } from "@tensorar/model";
import { z } from "zod";

/** Tokens of a text, far beyond what published models take. */
const MOST_TOKENS = 2 ** 14;

const common = {
  /** T: positions of a text's features; longer texts lose their end. */
  maxLength: z.int().positive().max(MOST_TOKENS),
  /** Whether texts are cleaned as LlamaGen cleans captions, see `cleanCaption` of `@tensorar/text`. */
  cleanCaptions: z.boolean(),
  /** Where features of short texts are filled up: LlamaGen's models take them at the left. */
  padding: z.enum(["left", "right"]),
  /** Where it comes from, for the reader. */
  training: z.record(z.string(), z.unknown()).optional(),
};

const object = <T extends object>() => z.custom<T>((value) => typeof value === "object" && value !== null);

const schema = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("t5"), encoder: object<T5Config>(), ...common }),
  z.strictObject({
    kind: z.literal("onnx"),
    encoder: z.strictObject({
      /** In the folder: takes `input_ids` and `attention_mask` [B, T]. */
      file: z.string().regex(/^[^/\\]+\.onnx$/, "must be the name of an .onnx file in the folder"),
      /** D */
      width: z.int().positive(),
      /** The output with the features [B, T, D]. */
      output: z.string().min(1).default("last_hidden_state"),
    }),
    ...common,
  }),
]);

/** What `config.json` of a text encoder's folder holds: which encoder it is, its configuration, and how texts are given to it. */
export type TextEncoderDescription = z.infer<typeof schema>;

/** A description of one kind. */
export type DescriptionOf<K extends TextEncoderDescription["kind"]> = Extract<TextEncoderDescription, { kind: K }>;

/** What a text encoder's folder is, for messages. */
export const TEXT_ENCODER_FOLDER = "a text encoder (config.json, tokenizer.json, tokenizer_config.json, weights)";

/**
 * A description from what `config.json` holds.
 * @param path what errors name
 * @throws TensorARError when it describes no text encoder
 */
export function parseTextEncoder(config: unknown, path = "config.json"): TextEncoderDescription {
  const parsed = schema.safeParse(config);
  if (parsed.success) return parsed.data;
  throw new TensorARError(`${path}: not ${TEXT_ENCODER_FOLDER}: ${describeIssues(parsed.error.issues, config)}`);
}
