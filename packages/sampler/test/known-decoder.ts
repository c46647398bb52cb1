import type { Decoder } from "../src";

export interface KnownDecoder extends Decoder {
  /** Every window that the loop fed, in order: one [R, k] a step. */
  readonly fed: Int32Array[];
}

/** A decoder whose logits are a formula of condition, position, depth, code and the window that it was fed. */
export function knownDecoder(
  shape: Pick<Decoder, "tokens" | "windowSize" | "vocabSize">,
  logit: (at: { condition: number; position: number; depth: number; code: number; window: Int32Array }) => number,
): KnownDecoder {
  const { windowSize: k, vocabSize: V } = shape;
  const fed: Int32Array[] = [];
  return {
    ...shape,
    unconditional: () => 99,
    fed,
    start(conditions) {
      let position = 0;
      return {
        async step(windows) {
          fed.push(windows.slice());
          const logits = new Float32Array(conditions.length * k * V);
          for (let i = 0; i < logits.length; i++) {
            const row = Math.floor(i / (k * V));
            const window = windows.subarray(row * k, (row + 1) * k);
            const depth = Math.floor(i / V) % k;
            logits[i] = logit({ condition: conditions[row]!, position, depth, code: i % V, window });
          }
          position++;
          return logits;
        },
      };
    },
  };
}
