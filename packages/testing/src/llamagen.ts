import { type ReferenceCase, referenceCases } from "./reference";

/** What the descriptions of LlamaGen's models have; `Config` is the product's own type. */
export interface LlamaGenJson<Config> {
  readonly config: Config & { readonly model_type?: string };
  readonly grad_names?: string[];
  readonly generate?: { readonly cfg_scale: number; readonly cfg_interval: number; readonly output: string }[];
  readonly optimizer?: {
    readonly lr: number;
    readonly betas: [number, number];
    readonly eps: number;
    readonly weight_decay: number;
    readonly clip: number;
    readonly steps: number;
  };
  readonly tables?: { grid: number; head_dim: number; base: number; cls_token_num: number; output: string }[];
}

export type LlamaGenCase<Config> = ReferenceCase<LlamaGenJson<Config>>;

/** Cases of LlamaGen's transformer, also with their optimizer steps and rotary tables. */
export const llamaGenCases = <Config>(): LlamaGenCase<Config>[] =>
  referenceCases<LlamaGenJson<Config>>("autoregressive/models/gpt.py");

/** Class-conditional cases that hold a tensor of this name. */
export const classConditional = <Config>(tensor: string): LlamaGenCase<Config>[] =>
  llamaGenCases<Config>().filter((each) => each.json.config?.model_type === "c2i" && each.has(tensor));
