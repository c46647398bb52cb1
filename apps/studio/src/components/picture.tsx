import { useLayoutEffect, useRef } from "preact/hooks";
import type { Picture } from "../engine/protocol";

/** Pictures up to this size show their pixels. */
const SMALL = 128;

/** Tokens from a position on, which there are none of yet. */
interface Blank {
  readonly grid: readonly [number, number];
  readonly from: number;
}

/** A picture, or a part of it: `crop` is x, y, width and height in pixels. */
export function PictureCanvas({
  picture,
  label,
  crop,
  blank,
}: {
  readonly picture: Picture | undefined;
  /** For those who can't see it; none for pictures beside a text that says as much. */
  readonly label?: string;
  readonly crop?: readonly [number, number, number, number];
  readonly blank?: Blank | undefined;
}) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const [x, y, width, height] = crop ?? [0, 0, picture?.width ?? 1, picture?.height ?? 1];
  useLayoutEffect(() => {
    const context = canvas.current?.getContext("2d");
    if (!context) return;
    context.clearRect(0, 0, width, height);
    if (picture) context.putImageData(new ImageData(picture.data, picture.width, picture.height), -x, -y);
    if (blank) clearFrom(context, blank, width, height);
  }, [picture, x, y, width, height, blank?.from]);
  return (
    <canvas
      ref={canvas}
      class={width <= SMALL ? "pixels" : ""}
      width={width}
      height={height}
      {...(label === undefined ? { "aria-hidden": true } : { role: "img", "aria-label": label })}
    />
  );
}

function clearFrom(context: CanvasRenderingContext2D, { grid, from }: Blank, width: number, height: number): void {
  const [rows, columns] = grid;
  const [w, h] = [width / columns, height / rows];
  for (let position = from; position < rows * columns; position++)
    context.clearRect((position % columns) * w, Math.floor(position / columns) * h, w, h);
}
