import * as ort from "onnxruntime-node";

/** ONNX Runtime with a clock: milliseconds inside its own `run`, so that what is left of a total is JavaScript's. */
export interface ClockedRuntime {
  readonly runtime: typeof ort;
  /** Since the last call of this. */
  takeMilliseconds(): number;
}

export function clockedRuntime(): ClockedRuntime {
  let inside = 0;
  const create = async (...args: Parameters<typeof ort.InferenceSession.create>) => {
    const session = await ort.InferenceSession.create(...args);
    const run = session.run.bind(session) as (...args: unknown[]) => Promise<ort.InferenceSession.OnnxValueMapType>;
    return Object.assign(session, {
      async run(...args: unknown[]) {
        const start = performance.now();
        const results = await run(...args);
        inside += performance.now() - start;
        return results;
      },
    });
  };
  return {
    runtime: { ...ort, InferenceSession: { create } } as unknown as typeof ort,
    takeMilliseconds() {
      const taken = inside;
      inside = 0;
      return taken;
    },
  };
}
