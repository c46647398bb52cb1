import type { Description, FolderFiles, GenerateOptions } from "@tensorar/pipeline";

/** The refining model, and the base model beside it. */
export type Role = "refined" | "base";

/** What the visitor wants models to run on. */
export type DeviceChoice = "auto" | "webgpu" | "wasm";

/** What models run on, and why not on something faster. */
export interface DeviceReport {
  readonly device: "webgpu" | "wasm";
  /** Of WebAssembly. */
  readonly threads: number;
  /** Why it is not WebGPU, or why there is one thread. */
  readonly reasons: readonly string[];
}

/** A model to open: a folder on this server, or files that were dropped. */
export type ModelSource = { readonly url: string; readonly bytes: number } | { readonly files: FolderFiles };

/** A picture as canvases take it. */
export interface Picture {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8ClampedArray<ArrayBuffer>;
}

/** What was drawn at one step: position `position` became final, and those after it were drafted. */
export interface DrawnStep {
  readonly position: number;
  /** [N, k]: the window from `position` on, -1 past the image's end. */
  readonly codes: Int32Array;
  /** [N, k] */
  readonly probabilities: Float32Array;
}

/** Options of `generate` that can be sent to a worker. */
export type SentOptions = Omit<GenerateOptions, "signal" | "onStep" | "caption" | "probabilities">;

/** What the worker does: arguments, what it tells on the way, and the result. */
export interface Jobs {
  /** Decides what models run on. Once, before all else. */
  start: { argument: { choice: DeviceChoice; notIsolated: string | undefined }; event: Loading; result: DeviceReport };
  /** Opens a model in place of the one with this role. */
  open: { argument: { role: Role; source: ModelSource }; event: Loading; result: Opened };
  close: { argument: { role: Role }; event: never; result: undefined };
  generate: { argument: { role: Role; options: SentOptions }; event: DrawnStep; result: { notes: readonly string[] } };
  /** Pictures of codes [N, T]. */
  decode: { argument: { role: Role; codes: Int32Array }; event: never; result: readonly Picture[] };
}

/** An opened model. */
export interface Opened {
  readonly description: Description;
  /** What it runs on, which differs from what was planned where a model can't be opened there. */
  readonly device: DeviceReport;
}

/** How loading goes on, in bytes. */
export interface Loading {
  readonly file: string;
  readonly loaded: number;
  readonly total: number | undefined;
  /** Counts from 1; above that, an earlier attempt broke off. */
  readonly attempt: number;
}

export type JobName = keyof Jobs;

/** To the worker. */
export type Message =
  | {
      readonly [K in JobName]: { readonly id: number; readonly job: K; readonly argument: Jobs[K]["argument"] };
    }[JobName]
  | { readonly id: number; readonly job: "stop" };

/** From the worker, about the job with this id. */
export type Reply =
  | { readonly id: number; readonly event: unknown }
  | { readonly id: number; readonly result: unknown }
  | { readonly id: number; readonly error: SentError };

/** An error as it crosses between threads. */
export interface SentError {
  readonly message: string;
  /** `io`, `missing`, …, of a TensorARError. */
  readonly code: string | undefined;
  readonly stopped: boolean;
}
