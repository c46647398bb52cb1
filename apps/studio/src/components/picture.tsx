import { useLayoutEffect, useRef } from "preact/hooks";
import type { Picture } from "../engine/protocol";

/** Pictures up to this size show their pixels. */
const SMALL = 128;

/** A picture, or a part of it: `crop` is x, y, width and height in pixels. */
export function PictureCanvas({
  picture,
  label,
  crop,
}: {
  readonly picture: Picture | undefined;
  /** For those who can't see it; none for pictures beside a text that says as much. */
  readonly label?: string;
  readonly crop?: readonly [number, number, number, number];
}) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const [x, y, width, height] = crop ?? [0, 0, picture?.width ?? 1, picture?.height ?? 1];
  useLayoutEffect(() => {
    const context = canvas.current?.getContext("2d");
    if (!context) return;
    context.clearRect(0, 0, width, height);
    if (picture) context.putImageData(new ImageData(picture.data, picture.width, picture.height), -x, -y);
  }, [picture, x, y, width, height]);
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
