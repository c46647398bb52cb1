import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { T5Config } from "@tensorar/model";
import { TOKEN_ENCODERS } from "../src";
import { saveTextEncoder } from "../src/node";

export const WORDS = ["<pad>", "</s>", "<unk>", "a", "red", "heart", "blue", "star"];

/** The files of a tokenizer that knows a few words. */
export const WORD_TOKENIZER = {
  "tokenizer.json": {
    model: { type: "WordLevel", vocab: Object.fromEntries(WORDS.map((word, id) => [word, id])), unk_token: "<unk>" },
    normalizer: null,
    pre_tokenizer: { type: "WhitespaceSplit" },
    post_processor: {
      type: "TemplateProcessing",
      single: [{ Sequence: { id: "A", type_id: 0 } }, { SpecialToken: { id: "</s>", type_id: 0 } }],
      special_tokens: { "</s>": { id: "</s>", ids: [1], tokens: ["</s>"] } },
    },
    decoder: null,
    added_tokens: [],
  },
  "tokenizer_config.json": { pad_token: "<pad>", eos_token: "</s>", unk_token: "<unk>" },
};

/** A small encoder of width 8. */
export const TINY_T5: T5Config = {
  vocab_size: WORDS.length,
  d_model: 8,
  d_kv: 4,
  num_heads: 2,
  num_layers: 1,
  d_ff: 12,
  relative_attention_num_buckets: 8,
  relative_attention_max_distance: 16,
  feed_forward_proj: "gated-gelu",
  layer_norm_epsilon: 1e-6,
};

/** A text encoder of 5 positions and width 8, whose weights are waves. */
export async function writeTinyEncoder(
  folder: string,
  settings: { readonly cleanCaptions?: boolean; readonly padding?: "left" | "right" } = {},
): Promise<void> {
  const { cleanCaptions = false, padding = "left" } = settings;
  for (const [name, value] of Object.entries(WORD_TOKENIZER))
    await writeFile(join(folder, name), JSON.stringify(value));
  const tensors = Object.fromEntries(
    Object.entries(TOKEN_ENCODERS.t5(TINY_T5).shapes).map(([name, shape]) => {
      const length = shape.reduce((a, b) => a * b, 1);
      const data = Float32Array.from({ length }, (_, i) => Math.sin(i * 1.7 + name.length));
      return [name, { dtype: "float32" as const, shape, data }];
    }),
  );
  await saveTextEncoder(
    folder,
    { kind: "t5", encoder: TINY_T5, maxLength: 5, cleanCaptions, padding, tensors },
    "float32",
  );
}
