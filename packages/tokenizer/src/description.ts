import { castTensor, type FloatDType, type TensorData } from "@tensorar/checkpoint";
import { describeIssues, TensorARError } from "@tensorar/core";
import { z } from "zod";
import { checkTokenizerTensors } from "./check-tensors";
import { createTokenizer, TOKENIZER_KINDS, type TokenizerKind, type TokenizerSpec } from "./tokenizer";

const schema = z.strictObject({
  kind: z.enum(TOKENIZER_KINDS),
  /** Height and width of its images in pixels. */
  imageSize: z
    .int()
    .positive()
    .max(2 ** 16),
  config: z.looseObject({}),
  /** The settings that trained it, for the reader. */
  training: z.record(z.string(), z.unknown()).optional(),
});

/** What `config.json` of a tokenizer folder holds: which tokenizer it is, and its configuration. */
export type TokenizerDescription<K extends TokenizerKind = "vq"> = TokenizerSpec<K> & {
  /** Height and width of its images in pixels. */
  readonly imageSize: number;
  /** The settings that trained it, for the reader. */
  readonly training?: Record<string, unknown> | undefined;
};

/** A tokenizer folder in memory. */
export type TokenizerFolder<K extends TokenizerKind = "vq"> = TokenizerDescription<K> & {
  /** float32, keyed by the original's names. */
  readonly tensors: Record<string, TensorData>;
};

export const castAll = (tensors: Record<string, TensorData>, dtype: FloatDType): Record<string, TensorData> =>
  Object.fromEntries(Object.entries(tensors).map(([name, tensor]) => [name, castTensor(tensor, dtype)]));

/** What a tokenizer folder is, for messages. */
export const TOKENIZER_FOLDER = "a tokenizer folder (config.json, model.safetensors)";

/**
 * A tokenizer folder from what its files hold, wherever they come from; of any kind.
 *
 * @param config the value that `config.json` holds
 * @param tensors of `model.safetensors`, of any floating-point type
 * @param files what errors name
 * @throws TensorARError naming the file and what is wrong with it, as `loadTokenizer` does
 */
export function parseTokenizer(
  config: unknown,
  tensors: Readonly<Record<string, TensorData>>,
  files: { readonly config: string; readonly tensors: string } = {
    config: "config.json",
    tensors: "model.safetensors",
  },
): TokenizerFolder<TokenizerKind> {
  const description = parseDescription(config, files.config, TOKENIZER_KINDS);
  const cast = castAll(tensors, "float32");
  checkTokenizerTensors(description, cast, files.tensors);
  return { ...description, tensors: cast };
}

/** @throws TensorARError naming the file when the value describes no tokenizer, or one of another kind */
export function parseDescription(
  config: unknown,
  path: string,
  kinds: readonly TokenizerKind[],
): TokenizerDescription<TokenizerKind> {
  const parsed = schema.safeParse(config);
  if (!parsed.success)
    throw new TensorARError(`${path}: not ${TOKENIZER_FOLDER}: ${describeIssues(parsed.error.issues, config)}`);
  if (!kinds.some((kind) => kind === parsed.data.kind)) {
    throw new TensorARError(
      `${path}: a tokenizer of kind "${parsed.data.kind}"; only ${kinds.join(", ")} will do here`,
    );
  }
  const description = parsed.data as unknown as TokenizerDescription<TokenizerKind>; // its config is checked next
  checkDescription(path, description);
  return description;
}

export function checkDescription(source: string, description: TokenizerDescription<TokenizerKind>): void {
  try {
    createTokenizer(description).gridOf(description.imageSize); // checks the configuration as well
  } catch (error) {
    if (!(error instanceof TensorARError)) throw error;
    throw new TensorARError(`${source}: ${error.message}`, { cause: error });
  }
}
