import type { Runtime } from "@tensorar/onnx/run";
import type { Device } from "./device";
import type { Folder, ReadOptions } from "./folder";
import type { Tracing } from "./opened";

/** What differs between browsers and Node. */
export interface Platform {
  /** What runs a model where nothing is said. */
  readonly defaultDevice: Device;
  /** @throws TensorARError when there is no such folder */
  open(source: string | URL, options: ReadOptions): Folder;
  /** ONNX Runtime for a device. @throws TensorARError when it is not installed, or lacks the device */
  runtime(device: Device): Promise<Runtime>;
  /** What model folders are traced with. @throws TensorARError when it is not there */
  tracing(): Promise<Tracing>;
}
