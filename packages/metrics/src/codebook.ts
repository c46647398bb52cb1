import { expectInteger } from "./checks";
import { TensorARError } from "./errors";

export interface CodebookUsage {
  /** Codes that occur at least once, 1 … vocabSize. */
  readonly used: number;
  /** `exp(entropy)` of the codes: as many equally likely codes would be as hard to guess; 1 … used. */
  readonly perplexity: number;
}

/**
 * How much of a tokenizer's codebook `codes` use.
 *
 * @param codes any number of codes in [0, vocabSize), at least one
 * @throws TensorARError where there is no code, or one is out of range
 */
export function codebookUsage(codes: Int32Array, vocabSize: number): CodebookUsage {
  expectInteger("codebookUsage", "vocabSize", vocabSize, 1, 2 ** 31);
  if (codes.length === 0) throw new TensorARError("codebookUsage: codes is empty; pass at least one code");
  const counts = new Float64Array(vocabSize);
  for (let i = 0; i < codes.length; i++) {
    const code = codes[i]!;
    if (code < 0 || code >= vocabSize) {
      throw new TensorARError(`codebookUsage: codes[${i}] = ${code} is not in [0, ${vocabSize}); check vocabSize`);
    }
    counts[code] = counts[code]! + 1;
  }
  let [used, entropy] = [0, 0];
  for (const count of counts) {
    if (count === 0) continue;
    used++;
    entropy -= (count / codes.length) * Math.log(count / codes.length);
  }
  return { used, perplexity: Math.exp(entropy) };
}
