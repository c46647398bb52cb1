import { createStream, fillWords } from "@tensorar/noise";

/** An image of a run: what its random numbers depend on. */
export interface ImageAddress {
  readonly seed: number;
  /** Index in its run. */
  readonly image: number;
}

/** Name of random numbers for one sub-token; the first one's are those of a whole token. */
export const streamName = (name: string, factor: number): string => (factor === 0 ? name : `${name}/${factor}`);

/** The number in [0, 1) that each final token of an image is drawn with: [T]. */
export const tokenUniforms = ({ seed, image }: ImageAddress, factor: number, tokens: number): Float64Array =>
  Float64Array.from({ length: tokens }, (_, position) =>
    createStream(seed, streamName("token", factor), image, position).uniform(),
  );

/** The random words of a position: one for each code. Valid until many others have been asked for. */
export type PositionWords = (address: ImageAddress, factor: number, position: number) => Uint32Array;

/**
 * Words of positions, each made once while it is in use.
 * @param sizes V_f of each sub-token
 * @param held as many are kept
 */
export function positionWords(sizes: readonly number[], held: number): PositionWords {
  const made = sizes.map(() => new Map<string, Uint32Array>()); // those of long ago first
  return ({ seed, image }, factor, position) => {
    const ofFactor = made[factor]!;
    const key = `${seed}/${image}/${position}`;
    const found = ofFactor.get(key);
    if (found) return found;
    const oldest = ofFactor.size < held ? undefined : ofFactor.entries().next().value;
    if (oldest) ofFactor.delete(oldest[0]);
    const words = oldest?.[1] ?? new Uint32Array(sizes[factor]!);
    fillWords(words, seed, streamName("gumbel", factor), image, position);
    ofFactor.set(key, words);
    return words;
  };
}
