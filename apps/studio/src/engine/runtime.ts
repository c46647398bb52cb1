import { TensorARError } from "@tensorar/core";
import type { LoadOptions } from "@tensorar/pipeline";
import asyncifyLoader from "onnxruntime-web/ort-wasm-simd-threaded.asyncify.mjs?url";
import asyncifyBinary from "onnxruntime-web/ort-wasm-simd-threaded.asyncify.wasm?url";
import wasmLoader from "onnxruntime-web/ort-wasm-simd-threaded.mjs?url";
import wasmBinary from "onnxruntime-web/ort-wasm-simd-threaded.wasm?url";
import { download } from "./download";
import type { DeviceChoice, DeviceReport, Loading } from "./protocol";

/** ONNX Runtime, and what it runs on. */
export interface OpenedRuntime {
  readonly runtime: NonNullable<LoadOptions["runtime"]>;
  readonly report: DeviceReport;
}

/** More gain nothing for steps of one position. */
const MOST_THREADS = 4;

/** What models will run on: WebGPU where there is one, else WebAssembly. @param notIsolated why there is one thread */
export async function planDevice(choice: DeviceChoice, notIsolated: string | undefined): Promise<DeviceReport> {
  const noGpu = choice === "wasm" ? "WebAssembly was chosen" : await whyNoWebGpu();
  if (noGpu === undefined) return { device: "webgpu", threads: 1, reasons: [] };
  return onProcessor([`no WebGPU: ${noGpu}`], notIsolated);
}

/** WebAssembly, for these reasons. */
export function onProcessor(reasons: readonly string[], notIsolated: string | undefined): DeviceReport {
  if (!crossOriginIsolated)
    return {
      device: "wasm",
      threads: 1,
      reasons: [...reasons, `one thread: ${notIsolated ?? "the page is not isolated"}`],
    };
  const threads = Math.min(MOST_THREADS, Math.ceil(navigator.hardwareConcurrency / 2));
  const few = threads === 1 ? ["one thread: this device has few processors"] : [];
  return { device: "wasm", threads, reasons: [...reasons, ...few] };
}

async function whyNoWebGpu(): Promise<string | undefined> {
  if (!("gpu" in navigator)) return "this browser has none";
  try {
    const gpu = navigator.gpu as { requestAdapter(): Promise<unknown> };
    return (await gpu.requestAdapter()) ? undefined : "no graphics processor for it";
  } catch (cause) {
    return (cause as Error).message;
  }
}

/** Downloads ONNX Runtime for a device. */
export async function openRuntime(
  report: DeviceReport,
  onProgress: (progress: Loading) => void,
): Promise<OpenedRuntime> {
  const onGpu = report.device === "webgpu";
  const [loader, binary] = onGpu ? [asyncifyLoader, asyncifyBinary] : [wasmLoader, wasmBinary];
  const runtime = onGpu ? await import("onnxruntime-web/webgpu") : await import("onnxruntime-web/wasm");
  const { wasm } = runtime.env;
  wasm.wasmPaths = { mjs: new URL(loader, import.meta.url).href };
  wasm.wasmBinary = await download(new URL(binary, import.meta.url), "ONNX Runtime", onProgress);
  wasm.numThreads = report.threads;
  if (!runtime.InferenceSession) throw new TensorARError("ONNX Runtime can't be loaded; reload the page");
  return { runtime, report };
}
