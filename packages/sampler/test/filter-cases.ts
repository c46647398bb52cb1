import { referenceCases } from "@tensorar/testing";

interface Combo {
  readonly top_k: number;
  readonly top_p: number;
  readonly temperature: number;
  readonly output: string;
  readonly kept: readonly number[];
}

/** Every case of top-k and top-p filtering, whatever its file is called. */
export const filterCases = () =>
  referenceCases<{ readonly combos?: readonly Combo[] }>().flatMap((fixture) => {
    const { name, json, expected } = fixture;
    if (!Array.isArray(json.combos)) return [];
    const combos = json.combos.map((combo) => ({ ...combo, probabilities: expected(combo.output).data }));
    return [{ name, logits: expected("logits"), combos, tolerance: fixture.tolerance("all").atol }];
  });
