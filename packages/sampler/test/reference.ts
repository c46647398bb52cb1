import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseSafetensors } from "@tensorar/checkpoint";

const here = dirname(fileURLToPath(import.meta.url));
/** Folder of outputs of the original PyTorch code. */
export const referenceRoot = resolve(here, "../../..", process.env.TENSORAR_REFERENCE ?? "../shared/reference");

interface Combo {
  readonly top_k: number;
  readonly top_p: number;
  readonly temperature: number;
  readonly output: string;
  readonly kept: readonly number[];
}

export interface FilterCase {
  readonly name: string;
  readonly logits: { readonly shape: readonly number[]; readonly data: Float32Array };
  readonly combos: readonly (Combo & { readonly probabilities: Float32Array })[];
  readonly tolerance: number;
}

/** Every fixture of top-k and top-p filtering, whatever its file is called. */
export function filterCases(): FilterCase[] {
  if (!existsSync(referenceRoot)) return [];
  return readdirSync(referenceRoot, { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".json"))
    .sort()
    .flatMap((file) => {
      const json = JSON.parse(readFileSync(join(referenceRoot, file), "utf8"));
      if (!Array.isArray(json.combos)) return [];
      const tensors = parseSafetensors(readFileSync(join(referenceRoot, file.replace(/json$/, "safetensors"))));
      const { shape, data } = tensors.logits!;
      const combos = (json.combos as Combo[]).map((combo) => ({
        ...combo,
        probabilities: tensors[combo.output]!.data as Float32Array,
      }));
      const tolerance = json.tolerances.all.atol as number;
      return [{ name: json.case, logits: { shape, data: data as Float32Array }, combos, tolerance }];
    });
}
