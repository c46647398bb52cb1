import type { TensorData } from "@tensorar/core";
import { EVIDENCE, type Evidence, type ModelDescription, type OutputStructure } from "@tensorar/model";
import { viewWeights } from "@tensorar/noise";
import { marginalRates, type Noising, type NoisingOptions, noisingOf } from "./noising";

/** How TensorAR is attached to a base model, and what its windows hold in training. */
export interface TensorAROptions extends NoisingOptions {
  /** k, tokens in one tensor; 1 goes on training the base model, which is the control. */
  readonly windowSize: number;
  /** Blocks of both query transformers. */
  readonly depth: number;
  /** How the output decoder tells its k states apart. */
  readonly structure: OutputStructure;
  /** What becomes of a token's own drafts; default `implicit`, which is the paper. */
  readonly evidence?: Evidence | undefined;
}

/** What the options say of the model, of its training and of its first weights. */
export interface TensorARForm {
  readonly description: Pick<ModelDescription, "tensorar" | "noiseRates">;
  readonly noising: Noising;
  /** Weights that begin elsewhere than `initModules` has them: explicit evidence at what the noise makes it worth. @param vocabSize V */
  initial(vocabSize: number): Record<string, TensorData>;
}

/** @throws TensorARError when the noise does not fit the window */
export function tensorarForm({ windowSize, depth, structure, evidence, ...noise }: TensorAROptions): TensorARForm {
  const noising = noisingOf(noise, windowSize);
  const rates = marginalRates(noising);
  const isExplicit = evidence === "explicit" && windowSize > 1;
  return {
    noising,
    description: {
      tensorar: {
        windowSize,
        depth,
        structure,
        ...(isExplicit && { evidence }),
        ...(noising.blank > 0 && windowSize > 1 && { blanks: true }),
      },
      noiseRates: rates,
    },
    initial(vocabSize) {
      if (!isExplicit) return {};
      const most = viewWeights([0, 1 / vocabSize], vocabSize)[0]!; // of a view that is never noised, in place of infinity
      const weights = viewWeights(rates, vocabSize).map((weight) => Math.min(weight, most));
      return { [EVIDENCE]: { dtype: "float32", shape: [windowSize - 1], data: Float32Array.from(weights) } };
    },
  };
}
