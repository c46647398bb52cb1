/** Models and everything that computes: the page itself never waits for them. */
import { TensorARError } from "@tensorar/core";
import { TensorAR } from "@tensorar/pipeline";
import * as text from "@tensorar/text";
import { withRetries } from "./download";
import { Lock } from "./lock";
import type {
  DeviceReport,
  DrawnStep,
  JobName,
  Jobs,
  Message,
  ModelSource,
  Reply,
  Role,
  SentError,
  SentOptions,
} from "./protocol";
import { type OpenedRuntime, onProcessor, openRuntime, planDevice } from "./runtime";

type Tell<K extends JobName> = (event: Jobs[K]["event"]) => void;
type Handler<K extends JobName> = (
  argument: Jobs[K]["argument"],
  tell: Tell<K>,
  signal: AbortSignal,
) => Promise<Jobs[K]["result"]>;

const models = new Map<Role, TensorAR>();
/** Both models take turns, step by step: on some devices two graphs must not run at once. */
const turn = new Lock();
/** One generation of a model after the other: the next takes its turn when the one before has none to wait for. */
const generations: Readonly<Record<Role, Lock>> = { refined: new Lock(), base: new Lock() };
let opened: OpenedRuntime;
let notIsolated: string | undefined;

const HANDLERS: { readonly [K in JobName]: Handler<K> } = {
  async start({ choice, notIsolated: reason }, tell) {
    notIsolated = reason;
    opened = await openRuntime(await planDevice(choice, reason), tell);
    return opened.report;
  },
  async open({ role, source }, tell, signal) {
    await HANDLERS.close({ role }, () => {}, signal);
    const model = await openOrFallBack(source, tell, signal);
    models.set(role, model);
    return { description: model.description, device: opened.report };
  },
  async close({ role }) {
    const model = models.get(role);
    models.delete(role);
    await model?.dispose();
  },
  generate: ({ role, options }, tell, signal) =>
    generations[role].hold(() => generate(modelOf(role), options, tell, signal)),
  decode: ({ role, codes }) => turn.hold(() => modelOf(role).decode(codes)),
};

function modelOf(role: Role): TensorAR {
  const model = models.get(role);
  if (!model) throw new TensorARError("the model is not loaded yet");
  return model;
}

/** A model that WebGPU can't open goes to WebAssembly, with all that are opened later. */
async function openOrFallBack(source: ModelSource, tell: Tell<"open">, signal: AbortSignal): Promise<TensorAR> {
  try {
    return await openModel(source, tell, signal);
  } catch (error) {
    const passing = error instanceof TensorARError && (error.code === "io" || error.code === "missing");
    if (opened.report.device !== "webgpu" || signal.aborted || passing || models.size > 0) throw error;
    const report: DeviceReport = onProcessor([`no WebGPU: ${(error as Error).message}`], notIsolated);
    opened = await openRuntime(report, tell);
    return openModel(source, tell, signal);
  }
}

const openModel = (source: ModelSource, tell: Tell<"open">, signal: AbortSignal): Promise<TensorAR> =>
  withRetries((attempt) => {
    const { runtime, report } = opened;
    const onProgress = (progress: { file: string; loaded: number; total: number | undefined }) =>
      tell({ ...progress, attempt });
    const from = "files" in source ? source.files : new URL(source.url);
    return TensorAR.load(from, { runtime, device: report.device, text, signal, onProgress });
  }, signal);

async function generate(
  model: TensorAR,
  options: SentOptions,
  tell: Tell<"generate">,
  signal: AbortSignal,
): Promise<Jobs["generate"]["result"]> {
  let release = await turn.take();
  try {
    const { notes } = await model.generate({
      ...options,
      probabilities: true,
      signal,
      async onStep({ position, trace, probabilities }) {
        tell(windowOf(position, trace, probabilities!, model.description));
        release();
        await nextTask(); // messages, such as to stop, arrive between tasks alone
        release = await turn.take();
      },
    });
    return { notes };
  } finally {
    release();
  }
}

/** The tensor that a step drew at `position`, of every image: [N, k]. */
function windowOf(
  position: number,
  trace: Int32Array,
  probabilities: Float32Array,
  { tokens: T, windowSize: k }: { readonly tokens: number; readonly windowSize: number },
): DrawnStep {
  const N = trace.length / (T * k);
  const step = { position, codes: new Int32Array(N * k).fill(-1), probabilities: new Float32Array(N * k) };
  for (let image = 0; image < N; image++) {
    for (let entry = 0; entry < Math.min(k, T - position); entry++) {
      const at = (image * T + position + entry) * k + (k - 1 - entry);
      step.codes[image * k + entry] = trace[at]!;
      step.probabilities[image * k + entry] = probabilities[at]!;
    }
  }
  return step;
}

const channel = new MessageChannel();
const waiting: (() => void)[] = [];
channel.port1.onmessage = () => waiting.shift()?.();

/** Timers would wait four milliseconds. */
const nextTask = (): Promise<void> =>
  new Promise((resolve) => {
    waiting.push(resolve);
    channel.port2.postMessage(undefined);
  });

const running = new Map<number, AbortController>();
const reply = (message: Reply): void => self.postMessage(message);

self.addEventListener("message", ({ data }: MessageEvent<Message>) => {
  if (data.job === "stop") running.get(data.id)?.abort();
  else void run(data);
});

async function run({ id, job, argument }: Exclude<Message, { job: "stop" }>): Promise<void> {
  const controller = new AbortController();
  running.set(id, controller);
  try {
    const handler = HANDLERS[job] as Handler<JobName>;
    const result = await handler(argument, (event) => reply({ id, event }), controller.signal);
    reply({ id, result });
  } catch (error) {
    reply({ id, error: sent(error, controller.signal) });
  } finally {
    running.delete(id);
  }
}

function sent(error: unknown, signal: AbortSignal): SentError {
  const { message } = error as Error;
  const code = error instanceof TensorARError ? error.code : undefined;
  return { message, code, stopped: signal.aborted };
}
