import { TensorARError } from "@tensorar/core";
import type { Loading } from "./protocol";

const ATTEMPTS = 3;
/** Before the second attempt; twice that before the third. */
const PAUSE_MS = 500;

/** Whether a download may succeed when it is tried again: `io` covers what breaks off. */
const isPassing = (error: unknown): boolean => error instanceof TensorARError && error.code === "io";

/** Does what downloads up to three times, when it breaks off. @throws what the last attempt threw */
export async function withRetries<T>(job: (attempt: number) => Promise<T>, signal?: AbortSignal): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await job(attempt);
    } catch (error) {
      signal?.throwIfAborted();
      if (!isPassing(error) || attempt === ATTEMPTS) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS * attempt));
  }
}

/** The bytes of one file. @param name what progress and errors call it */
export const download = (url: URL, name: string, onProgress: (progress: Loading) => void): Promise<ArrayBuffer> =>
  withRetries((attempt) => read(url, name, (loaded, total) => onProgress({ file: name, loaded, total, attempt })));

async function read(
  url: URL,
  name: string,
  onProgress: (loaded: number, total: number | undefined) => void,
): Promise<ArrayBuffer> {
  const failed = (cause: Error): never => {
    throw new TensorARError(`${name}: ${cause.message}; check the connection`, { code: "io", cause });
  };
  const response = await fetch(url).catch(failed);
  if (!response.ok || !response.body)
    throw new TensorARError(`${name}: the server answers ${response.status}`, {
      code: response.status === 404 ? "missing" : "io",
    });
  const length = response.headers.get("content-length");
  const total = length === null || response.headers.has("content-encoding") ? undefined : Number(length);
  let loaded = 0;
  const counted = response.body.pipeThrough(
    new TransformStream<Uint8Array, Uint8Array>({
      transform(part, controller) {
        loaded += part.length;
        onProgress(loaded, total);
        controller.enqueue(part);
      },
    }),
  );
  return new Response(counted as ReadableStream<Uint8Array<ArrayBuffer>>).arrayBuffer().catch(failed);
}
