/** What the images of a run differ in. */
export interface Turns {
  /** Conditions that take turns. */
  readonly conditions: number;
  readonly scales: readonly number[];
  readonly seeds: readonly number[];
}

/** What an image has. */
export interface Turn {
  readonly scale: number;
  readonly seed: number;
  /** Its index in a run of this scale and seed alone, which makes the same image. */
  readonly index: number;
}

/** All conditions with the first scale and seed come first, then those with the next scale; then the next seed, then a further round. */
export function turnOf({ conditions, scales, seeds }: Turns, image: number): Turn {
  const ofScale = Math.floor(image / conditions);
  const ofSeed = Math.floor(ofScale / scales.length);
  const round = Math.floor(ofSeed / seeds.length);
  return {
    scale: scales[ofScale % scales.length]!,
    seed: seeds[ofSeed % seeds.length]!,
    index: round * conditions + (image % conditions),
  };
}
