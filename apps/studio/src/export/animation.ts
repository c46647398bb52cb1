import type { Picture } from "../engine/protocol";
import type { TokenState } from "../run";

/** One model's image at one step. */
export interface Panel {
  readonly picture: Picture;
  /** Rows and columns of tokens. */
  readonly grid: readonly [number, number];
  /** [T] */
  readonly states: readonly TokenState[];
  /** Positions whose code has just changed. */
  readonly flipped: readonly number[];
}

/** Steps in the order in which they are shown, each with the models' images side by side. */
export type Frames = readonly (readonly Panel[])[];

/** Encodes an animation in a worker of its own. @throws Error when it can't be encoded */
export function encodeAnimation(frames: Frames): Promise<Blob> {
  const worker = new Worker(new URL("./animation-worker.ts", import.meta.url), { type: "module", name: "animation" });
  return new Promise<Blob>((resolve, reject) => {
    worker.addEventListener("message", ({ data }: MessageEvent<Blob>) => resolve(data));
    worker.addEventListener("error", ({ message }) => reject(new Error(`the animation can't be made: ${message}`)));
    worker.postMessage(frames);
  }).finally(() => worker.terminate());
}
