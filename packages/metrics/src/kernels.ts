import { TensorARError } from "@tensorar/core";
import { KERNELS } from "./generated/kernels";

/** The functions of `assembly/kernels.ts`, where each is described. Addresses in bytes, strides and lengths in numbers. */
export interface Kernels {
  addProducts(
    out: number,
    stride: number,
    a: number,
    b: number,
    depth: number,
    rows: number,
    columns: number,
    scale: number,
  ): void;
  symmetricProduct(out: number, matrix: number, stride: number, vector: number, size: number): void;
  rowProducts(out: number, rows: number, stride: number, count: number, vector: number, length: number): void;
  subtractCombination(
    target: number,
    rows: number,
    stride: number,
    count: number,
    weights: number,
    length: number,
  ): void;
}

/** A memory with kernels that work in it. Only its user refers to it, so it is collected once the call is done. */
export interface Workspace {
  readonly kernels: Kernels;
  /** Hands out the next `length` numbers, which are 0. */
  take(length: number): Span;
}

/** Numbers in the memory of a workspace. */
export interface Span {
  readonly values: Float64Array;
  /** Address of the first, in bytes. */
  readonly at: number;
}

// What is used of WebAssembly; the DOM's types are not in a library for Node too.
interface Wasm {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Memory: new (size: { readonly initial: number }) => { readonly buffer: ArrayBuffer };
  readonly Instance: new (module: object, imports: object) => { readonly exports: unknown };
}

const PAGE = 65536;
let compiled: object | undefined;

/**
 * A workspace of `length` float64 numbers.
 *
 * @param where the function that was called, for errors
 * @throws TensorARError without WebAssembly and its SIMD, or where that much memory is not to be had; 4 GiB is the most
 */
export function createWorkspace(where: string, length: number): Workspace {
  const wasm = (globalThis as { WebAssembly?: Wasm }).WebAssembly;
  if (!wasm) throw new TensorARError(`${where}: this runtime has no WebAssembly; ${REMEDY}`);
  compiled ??= compile(where, wasm);
  const memory = allocate(where, wasm, 8 * length);
  const { exports } = new wasm.Instance(compiled, { env: { memory } });
  let next = 0;
  return {
    kernels: exports as Kernels,
    take(count) {
      const at = next;
      next += 8 * count;
      return { values: new Float64Array(memory.buffer, at, count), at };
    },
  };
}

const REMEDY = "run it in Node 20 or a browser of 2023 or later, under a content policy with 'wasm-unsafe-eval'";

function compile(where: string, wasm: Wasm): object {
  try {
    return new wasm.Module(Uint8Array.from(atob(KERNELS), (character) => character.charCodeAt(0)));
  } catch (cause) {
    throw new TensorARError(`${where}: this runtime refuses WebAssembly with SIMD; ${REMEDY}`, { cause });
  }
}

function allocate(where: string, wasm: Wasm, bytes: number): { readonly buffer: ArrayBuffer } {
  try {
    return new wasm.Memory({ initial: Math.ceil(bytes / PAGE) });
  } catch (cause) {
    const size = `${Math.ceil(bytes / 2 ** 20)} MiB`;
    throw new TensorARError(
      `${where}: WebAssembly got no ${size} of memory, of which 4096 MiB is the most; free some, or pass fewer features`,
      { cause },
    );
  }
}
