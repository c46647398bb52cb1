import { applyPalette, GIFEncoder, quantize } from "gifenc";
import type { Frames, Panel } from "./animation";

/** Sides of a panel in pixels, and what lies between two. */
const [SIDE, GAP] = [256, 16];
const DELAY_MS = 150;
/** The finished image. */
const LAST_DELAY_MS = 2500;
const [PAPER, DRAFT, FLIP] = ["#fbfaf8", "#4338ca", "#c2410c"];

const COLORS = 256;

self.addEventListener("message", ({ data }: MessageEvent<Frames>) => self.postMessage(toGif(data)));

function toGif(frames: Frames): Blob {
  const panels = frames[0]?.length ?? 0;
  const width = panels * SIDE + (panels - 1) * GAP;
  const context = new OffscreenCanvas(width, SIDE).getContext("2d", { willReadFrequently: true })!;
  const gif = GIFEncoder();
  for (const [i, frame] of frames.entries()) {
    context.fillStyle = PAPER!;
    context.fillRect(0, 0, width, SIDE);
    for (const [at, panel] of frame.entries()) drawPanel(context, panel, at * (SIDE + GAP));
    const { data } = context.getImageData(0, 0, width, SIDE);
    const palette = quantize(data, COLORS);
    const delay = i === frames.length - 1 ? LAST_DELAY_MS : DELAY_MS;
    gif.writeFrame(applyPalette(data, palette), width, SIDE, { palette, delay, repeat: 0 }); // 0: for ever
  }
  gif.finish();
  return new Blob([gif.bytes()], { type: "image/gif" });
}

function drawPanel(
  context: OffscreenCanvasRenderingContext2D,
  { picture, grid, states, flipped }: Panel,
  left: number,
) {
  const { width, height, data } = picture;
  const source = new OffscreenCanvas(width, height);
  source.getContext("2d")!.putImageData(new ImageData(data, width, height), 0, 0);
  context.imageSmoothingEnabled = width > SIDE;
  context.drawImage(source, left, 0, SIDE, SIDE);
  const [rows, columns] = grid;
  const [w, h] = [SIDE / columns, SIDE / rows];
  for (const [position, state] of states.entries()) {
    const [x, y] = [left + (position % columns) * w, Math.floor(position / columns) * h];
    if (state === "none") {
      context.fillStyle = PAPER!;
      context.fillRect(x, y, w, h);
    } else if (state === "draft") {
      context.fillStyle = `${PAPER}80`;
      context.fillRect(x, y, w, h);
      outline(context, DRAFT!, [3, 3], [x, y, w, h]);
    }
    if (flipped.includes(position)) outline(context, FLIP!, [], [x, y, w, h]);
  }
}

function outline(
  context: OffscreenCanvasRenderingContext2D,
  color: string,
  dashes: number[],
  [x, y, w, h]: readonly [number, number, number, number],
): void {
  context.strokeStyle = color;
  context.lineWidth = 2;
  context.setLineDash(dashes);
  context.strokeRect(x + 1, y + 1, w - 2, h - 2);
}
