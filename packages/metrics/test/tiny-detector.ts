import { serializeModel, trace } from "@tensorar/onnx";
import * as tf from "@tensorflow/tfjs-core";

// A detector that works for a reason: on a grey ground it finds whatever differs from grey, in each quarter of the image at
// most one object, and knows its class by the shape of its box.

/** By label: wider than high, higher than wide, about square. */
export const SHAPES = ["bench", "bottle", "clock"] as const;

export type TinyLayout = "boxes" | "dets" | "softmax" | "sigmoid";

export interface TinyOptions {
  readonly layout: TinyLayout;
  /** Height and width of its input. */
  readonly size: readonly [number, number];
  /** Rank 3: takes [3, H, W], as torchvision's. */
  readonly single?: boolean;
  /** Has an input `pixel_mask` [1, 4, 4], and sees only where that is 1. */
  readonly mask?: boolean;
  /** Takes values with 0 for grey, in place of 0 … 1. */
  readonly centered?: boolean;
}

interface Found {
  readonly box: readonly [tf.Scalar, tf.Scalar, tf.Scalar, tf.Scalar];
  readonly label: tf.Scalar;
  readonly score: tf.Scalar;
}

const GREY = 0.5;
const [STRONG, FAINT] = [0.95, 0.6]; // faint objects are unsure

/** What one quarter [h, w, 3] of an image shows. */
function findIn(quarter: tf.Tensor3D, top: number, left: number): Found {
  const [height, width] = quarter.shape;
  const contrast = tf.max(tf.abs(tf.sub(quarter, GREY)), 2); // [h, w]
  const seen = tf.greater(contrast, 0.08);
  const ends = (axis: 0 | 1, length: number, offset: number) => {
    const line = tf.any(seen, 1 - axis); // [length]
    const at = tf.range(0, length, 1, "float32");
    const low = tf.min(tf.where(line, at, tf.fill([length], 1e4)));
    const high = tf.add(tf.max(tf.where(line, at, tf.fill([length], -1))), 1);
    return [tf.add(low, offset), tf.add(high, offset)] as [tf.Scalar, tf.Scalar];
  };
  const [y0, y1] = ends(0, height, top);
  const [x0, x1] = ends(1, width, left);
  const [w, h] = [tf.sub(x1, x0), tf.sub(y1, y0)];
  const [one, zero] = [tf.scalar(1), tf.scalar(0)];
  const tall = tf.where(tf.greater(h, tf.mul(w, 1.5)), one, tf.scalar(2));
  const label = tf.where(tf.greater(w, tf.mul(h, 1.5)), zero, tall) as tf.Scalar;
  const strong = tf.greater(tf.max(contrast), 0.3);
  const score = tf.where(tf.any(seen), tf.where(strong, tf.scalar(STRONG), tf.scalar(FAINT)), zero) as tf.Scalar;
  const present = tf.greater(score, 0); // boxes of nothing are empty, not huge
  const box = [x0, y0, x1, y1].map((side) => tf.where(present, side, zero)) as unknown as Found["box"];
  return { box, label, score };
}

/** As an ONNX file: input `pixels` of values 0 … 1. */
export function tinyDetector({ layout, size: [height, width], single, mask, centered }: TinyOptions): Uint8Array {
  const image: [number, number, number] = [3, height, width];
  const model = trace(
    ({ pixels, pixel_mask }: { pixels: tf.Tensor; pixel_mask?: tf.Tensor }) => {
      let rows = tf.transpose(tf.reshape(pixels, image), [1, 2, 0]) as tf.Tensor3D; // [H, W, 3]
      if (centered) rows = tf.add(rows, GREY);
      if (pixel_mask) {
        const cells = tf.tile(tf.reshape(tf.cast(pixel_mask, "float32"), [4, 1, 4, 1]), [1, height / 4, 1, width / 4]);
        const kept = tf.reshape(cells, [height, width, 1]);
        rows = tf.add(tf.mul(rows, kept), tf.mul(tf.sub(1, kept), GREY));
      }
      const [h, w] = [height / 2, width / 2];
      const found = [0, 1, 2, 3].map((i) => {
        const [top, left] = [h * Math.floor(i / 2), w * (i % 2)];
        return findIn(tf.slice(rows, [top, left, 0], [h, w, 3]), top, left);
      });
      return outputsOf(layout, found, [height, width]);
    },
    {
      pixels: { dtype: "float32", shape: single ? image : [1, ...image] },
      ...(mask && { pixel_mask: { dtype: "int32" as const, shape: [1, 4, 4] } }),
    },
  );
  return serializeModel(model);
}

function outputsOf(layout: TinyLayout, found: readonly Found[], [height, width]: readonly [number, number]) {
  const boxes = tf.stack(found.map(({ box }) => tf.stack([...box]))); // [4, 4]
  const labels = tf.cast(tf.stack(found.map(({ label }) => label)), "int32"); // [4]
  const scores = tf.stack(found.map(({ score }) => score)); // [4]
  if (layout === "boxes") return { boxes, labels, scores };
  if (layout === "dets")
    return {
      dets: tf.expandDims(tf.concat([boxes, tf.expandDims(scores, 1)], 1), 0),
      labels: tf.expandDims(labels, 0),
    };
  const [x0, y0, x1, y1] = tf.split(boxes, 4, 1) as [tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor];
  const shares = [tf.div(tf.add(x0, x1), 2 * width), tf.div(tf.add(y0, y1), 2 * height)];
  const sides = [tf.div(tf.sub(x1, x0), width), tf.div(tf.sub(y1, y0), height)];
  const pred_boxes = tf.expandDims(tf.concat([...shares, ...sides], 1), 0);
  const own = tf.equal(tf.expandDims(labels, 1), tf.tensor2d([[0, 1, 2]], [1, 3], "int32")); // [4, 3]
  const chance = tf.clipByValue(tf.expandDims(scores, 1), 1e-6, 1); // [4, 1]
  const others = tf.mul(tf.onesLike(chance), 1e-6);
  const classes = tf.where(own, tf.tile(chance, [1, 3]), tf.tile(others, [1, 3]));
  const logits =
    layout === "softmax"
      ? tf.log(tf.concat([classes, tf.sub(1 - 2e-6, chance)], 1).clipByValue(1e-9, 1))
      : tf.log(tf.div(classes, tf.sub(1, classes)));
  return { logits: tf.expandDims(logits, 0), pred_boxes };
}

/** An encoder whose features [N, 3] are the mean colour of an image, each channel in -1 … 1, of pixels that were fed so. */
export const tinyImageEncoder = (size: readonly [number, number]): Uint8Array =>
  serializeModel(
    trace(({ pixel_values }) => ({ image_embeds: tf.mean(pixel_values, [2, 3]) }), {
      pixel_values: { dtype: "float32", shape: ["batch", 3, ...size] },
    }),
  );

/** An encoder of texts: the sum of its tokens' rows of `table`, [V, 3]. */
export const tinyTextEncoder = (table: readonly (readonly number[])[], length: number): Uint8Array =>
  serializeModel(
    trace(
      ({ input_ids, attention_mask }) => {
        const rows = tf.gather(tf.tensor2d(table.flat(), [table.length, 3]), input_ids as tf.Tensor2D); // [N, L, 3]
        const held = tf.cast(tf.expandDims(attention_mask, 2), "float32");
        return { text_embeds: tf.sum(tf.mul(rows, held), 1) };
      },
      {
        input_ids: { dtype: "int32", shape: ["batch", length] },
        attention_mask: { dtype: "int32", shape: ["batch", length] },
      },
    ),
  );

/** Each colour of GenEval as red, green and blue in 0 … 255. */
export const RGB: Readonly<Record<string, readonly [number, number, number]>> = {
  red: [255, 0, 0],
  orange: [255, 128, 0],
  yellow: [255, 255, 0],
  green: [0, 255, 0],
  blue: [0, 0, 255],
  purple: [128, 0, 128],
  pink: [255, 128, 192],
  brown: [128, 64, 0],
  black: [0, 0, 0],
  white: [255, 255, 255],
};

export interface Drawn {
  readonly color: string;
  /** Left, top, right, bottom. */
  readonly box: readonly [number, number, number, number];
}

/** Rectangles on grey, [height, width, 3]. */
export function drawRectangles(height: number, width: number, things: readonly Drawn[]): Uint8Array {
  const out = new Uint8Array(height * width * 3).fill(128);
  for (const { color, box } of things)
    for (let y = box[1]; y < box[3]; y++)
      for (let x = box[0]; x < box[2]; x++) out.set(RGB[color]!, (y * width + x) * 3);
  return out;
}
