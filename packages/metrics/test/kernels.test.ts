import { afterEach, expect, test, vi } from "vitest";
import { createWorkspace } from "../src/kernels";

afterEach(() => {
  vi.unstubAllGlobals();
  vi.resetModules();
});

test("a workspace hands out zeros that do not overlap", () => {
  const { take } = createWorkspace("test", 10);
  const [a, b] = [take(4), take(6)];
  a.values.fill(1);
  expect([...b.values]).toEqual([0, 0, 0, 0, 0, 0]);
  expect([a.at, b.at]).toEqual([0, 32]);
});

test("more memory than WebAssembly has is refused with the amount", () => {
  expect(() => createWorkspace("frechetDistance", 2 ** 30)).toThrow(
    /^frechetDistance: WebAssembly got no 8192 MiB of memory, of which 4096 MiB is the most; .* fewer features$/,
  );
});

test("runtimes without WebAssembly, or without its SIMD, are told so", async () => {
  const eigenvalues = async () => (await import("../src")).symmetricEigenvalues(new Float64Array(4), 2);
  vi.stubGlobal("WebAssembly", undefined);
  await expect(eigenvalues()).rejects.toThrow(
    /symmetricEigenvalues: this runtime has no WebAssembly; run it in Node 20/,
  );
  const Module = class {
    constructor() {
      throw new Error("invalid value type");
    }
  };
  vi.stubGlobal("WebAssembly", { Module });
  await expect(eigenvalues()).rejects.toThrow(/symmetricEigenvalues: this runtime refuses WebAssembly with SIMD/);
});
