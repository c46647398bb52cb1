import { TensorARError } from "@tensorar/core";
import { KERNELS } from "./generated/kernels";

/** The functions of `assembly/kernels.ts`, where each is described. Addresses in bytes, counts in numbers. */
export interface Kernels {
  largest(values: number, count: number): number;
  thresholdOf(values: number, count: number, rank: number, largest: number): number;
  keep(values: number, count: number, threshold: number, ties: number, kept: number, codes: number): number;
  weigh(values: number, count: number, largest: number, scale: number, powers: number, weights: number): number;
  nucleus(values: number, weights: number, count: number, wanted: number, largest: number): number;
  tiesNeeded(values: number, weights: number, count: number, wanted: number, threshold: number): number;
}

/** Kernels and the memory that they work in. */
export interface Workspace {
  readonly kernels: Kernels;
  readonly memory: ArrayBuffer;
}

// What is used of WebAssembly; the DOM's types are not in a library for Node too.
interface Wasm {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Memory: new (size: { readonly initial: number }) => { readonly buffer: ArrayBuffer };
  readonly Instance: new (module: object, imports: object) => { readonly exports: unknown };
}

const PAGE = 65536;
let compiled: object | undefined;

/** @throws TensorARError without WebAssembly and its SIMD */
export function createWorkspace(bytes: number): Workspace {
  const wasm = (globalThis as { WebAssembly?: Wasm }).WebAssembly;
  try {
    if (!wasm) throw new Error("there is no WebAssembly");
    compiled ??= new wasm.Module(Uint8Array.from(atob(KERNELS), (character) => character.charCodeAt(0)));
    const memory = new wasm.Memory({ initial: Math.ceil(bytes / PAGE) });
    const { exports } = new wasm.Instance(compiled, { env: { memory } });
    return { kernels: exports as Kernels, memory: memory.buffer };
  } catch (cause) {
    throw new TensorARError(
      `drawing codes takes WebAssembly with SIMD: ${(cause as Error).message}; run it in Node 20 or a browser of 2023 or ` +
        "later, under a content policy with 'wasm-unsafe-eval'",
      { cause },
    );
  }
}
