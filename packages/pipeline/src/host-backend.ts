import * as tf from "@tensorflow/tfjs-core";

/** Holds the numbers of tensors and computes nothing, which is all that tracing asks of a backend. */
class HostBackend extends tf.KernelBackend {
  readonly #data = new WeakMap<object, tf.BackendValues>();

  override write(values: tf.BackendValues): object {
    const dataId = {};
    this.#data.set(dataId, values);
    return dataId;
  }
  override readSync(dataId: object): tf.BackendValues {
    return this.#data.get(dataId)!;
  }
  override async read(dataId: object): Promise<tf.BackendValues> {
    return this.readSync(dataId);
  }
  override disposeData(dataId: object): boolean {
    return this.#data.delete(dataId);
  }
  override numDataIds(): number {
    return 0;
  }
  override refCount(): number {
    return 1;
  }
  override incRef(): void {}
  override memory() {
    return { unreliable: false };
  }
  override dispose(): void {}
  override floatPrecision(): 32 {
    return 32;
  }
  override epsilon(): number {
    return 1e-7;
  }
}

/** Where no backend of TensorFlow.js was imported, one that holds the weights until they are traced. */
export async function ensureBackend(): Promise<void> {
  if (Object.keys(tf.engine().registryFactory).length === 0)
    tf.registerBackend("tensorar-host", () => new HostBackend());
  await tf.ready();
}
