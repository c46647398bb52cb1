import type { JobName, Jobs, Message, Reply, SentError } from "./protocol";

/** What a job in the worker threw. */
export class EngineError extends Error {
  readonly code: string | undefined;
  /** Whether it was asked to stop. */
  readonly stopped: boolean;

  constructor({ message, code, stopped }: SentError) {
    super(message);
    this.code = code;
    this.stopped = stopped;
  }
}

interface Pending {
  readonly onEvent: (event: unknown) => void;
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: Error) => void;
}

/** The worker, from the page. */
export class Engine {
  readonly #worker = new Worker(new URL("./worker.ts", import.meta.url), { type: "module", name: "models" });
  readonly #pending = new Map<number, Pending>();
  #last = 0;

  constructor() {
    this.#worker.addEventListener("message", ({ data }: MessageEvent<Reply>) => this.#receive(data));
    this.#worker.addEventListener("error", (event) => {
      const error = new EngineError({ message: event.message || "the worker failed", code: undefined, stopped: false });
      for (const { reject } of this.#pending.values()) reject(error);
      this.#pending.clear();
    });
  }

  /** Runs a job. @throws EngineError, `stopped` once the signal aborts */
  run<K extends JobName>(
    job: K,
    argument: Jobs[K]["argument"],
    {
      onEvent = () => {},
      signal,
    }: { readonly onEvent?: (event: Jobs[K]["event"]) => void; readonly signal?: AbortSignal } = {},
  ): Promise<Jobs[K]["result"]> {
    const id = ++this.#last;
    return new Promise<Jobs[K]["result"]>((resolve, reject) => {
      const stop = (): void => this.#send({ id, job: "stop" });
      signal?.addEventListener("abort", stop, { once: true });
      this.#pending.set(id, {
        onEvent: onEvent as (event: unknown) => void,
        resolve: resolve as (result: unknown) => void,
        reject,
      });
      this.#send({ id, job, argument } as Message);
      if (signal?.aborted) stop();
    });
  }

  /** Ends the worker and all that it holds. */
  end(): void {
    this.#worker.terminate();
    const error = new EngineError({ message: "the worker was ended", code: undefined, stopped: true });
    for (const { reject } of this.#pending.values()) reject(error);
    this.#pending.clear();
  }

  #send(message: Message): void {
    this.#worker.postMessage(message);
  }

  #receive(reply: Reply): void {
    const pending = this.#pending.get(reply.id);
    if (!pending) return;
    if ("event" in reply) {
      pending.onEvent(reply.event);
      return;
    }
    this.#pending.delete(reply.id);
    if ("error" in reply) pending.reject(new EngineError(reply.error));
    else pending.resolve(reply.result);
  }
}
