import * as tf from "@tensorflow/tfjs-core";
import type { Params, TensorARModel } from "../src";

type Buffer4 = tf.TensorBuffer<tf.Rank.R4>;

/** The generation loop's cache in its plainest form: whole arrays, of which `filled` positions count. */
export class CachedDecode {
  #position = 0;
  readonly #keys: Buffer4[];
  readonly #values: Buffer4[];

  constructor(
    readonly model: TensorARModel,
    readonly params: Params,
    readonly rows: number,
    readonly positions: number,
  ) {
    const { layers, heads, headDim } = model.backbone.cache;
    const buffers = (shape: [number, number, number, number]) =>
      Array.from({ length: layers }, () => tf.buffer(shape, "float32") as Buffer4);
    this.#keys = buffers([rows, heads, positions, headDim]);
    this.#values = buffers([rows, heads, positions, headDim]);
  }

  /** Logits [R, k, V] of the next tensor; the caller's. `window` is int32 [R, k]. */
  step(condition: tf.Tensor, window: tf.Tensor): tf.Tensor {
    return tf.tidy(() => {
      const filled = Array.from({ length: this.rows * this.positions }, (_, i) =>
        i % this.positions < this.#position ? 0 : -1e9,
      );
      const { logits, keys, values } = this.model.decode(this.params, {
        condition,
        window,
        position: tf.tensor1d([this.#position], "int32"),
        mask: tf.tensor2d(filled, [this.rows, this.positions]),
        keys: this.#keys.map((buffer) => buffer.toTensor()),
        values: this.#values.map((buffer) => buffer.toTensor()),
      });
      for (const [layer, rows] of keys.entries()) {
        this.#write(this.#keys[layer]!, rows, ([r, h, , d]) => [r, h, this.#position, d]);
      }
      for (const [layer, rows] of values.entries()) {
        this.#write(this.#values[layer]!, rows, ([r, h, , d]) => [r, h, this.#position, d]);
      }
      this.#position++;
      return logits;
    });
  }

  /** [R, Hkv, S, Dh]; the caller's. */
  keys(layer: number): tf.Tensor {
    return this.#keys[layer]!.toTensor();
  }

  /** [R, Hkv, S, Dh]; the caller's. */
  values(layer: number): tf.Tensor {
    return this.#values[layer]!.toTensor();
  }

  #write(
    buffer: Buffer4,
    rows: tf.Tensor,
    to: (at: [number, number, number, number]) => [number, number, number, number],
  ) {
    const source = rows.bufferSync() as Buffer4;
    for (let i = 0; i < rows.size; i++) {
      const at = source.indexToLoc(i) as [number, number, number, number];
      buffer.set(source.get(...at), ...to(at));
    }
  }
}
