import { type AnyJson, type ReferenceCase, referenceCases } from "@tensorar/testing";
import type { VqConfig } from "../src";

interface VqJson {
  readonly config: VqConfig;
  readonly ch: number;
  readonly num_res_blocks: number;
  readonly params: number;
  readonly grad_names: readonly string[];
}

export interface VqCase extends ReferenceCase<VqJson> {
  readonly config: VqConfig;
}

/** Every case made from LlamaGen's `vq_model.py` alone. */
export const vqCases = (): VqCase[] =>
  casesFrom<VqJson>("FoundationVision/LlamaGen", "/vq_model.py")
    .filter(({ json }) => json.source?.files?.length === 1 && "codebook_size" in json.config)
    .map((each) => {
      const { config, ch, num_res_blocks } = each.json;
      return { ...each, config: { ...config, ch, num_res_blocks } };
    });

/** Every case made from a source file of a repository. */
export const casesFrom = <Json = AnyJson>(repo: string, sourceFile: string): ReferenceCase<Json>[] =>
  referenceCases<Json>(sourceFile).filter(({ json }) => json.source?.repo === repo);
