/** What is used of gifenc, which has no types of its own. */
declare module "gifenc" {
  /** RGB, 0 to 255 each. */
  type Palette = [number, number, number][];

  interface FrameOptions {
    readonly palette: Palette;
    /** Milliseconds. */
    readonly delay: number;
    /** Of the first frame: how often the animation starts again, 0 for ever. */
    readonly repeat: number;
  }

  interface Encoder {
    /** @param index of a color in the palette for each pixel */
    writeFrame(index: Uint8Array, width: number, height: number, options: FrameOptions): void;
    finish(): void;
    bytes(): Uint8Array<ArrayBuffer>;
  }

  export function GIFEncoder(): Encoder;
  /** @param rgba 4 bytes a pixel */
  export function quantize(rgba: Uint8ClampedArray, colors: number): Palette;
  export function applyPalette(rgba: Uint8ClampedArray, palette: Palette): Uint8Array;
}
