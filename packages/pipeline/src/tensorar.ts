import { quote, requireOptions, TensorARError } from "@tensorar/core";
import { PAD } from "@tensorar/noise";
import { type DraftPolicy, type Draws, type Guidance, generate, type PerFactor } from "@tensorar/sampler";
import { conditionsOf, type Subject } from "./conditioning";
import { type RgbaImage, toImages } from "./image";
import type { Description, Opened } from "./opened";
import type { TextReader } from "./text";

// N images · T tokens · k window

/** Images that go through the model together; what comes out does not depend on it. */
const BATCH = 16;

/** Pixels that are decoded at once: 4 images of 256 × 256, which take 0.7 GB in LlamaGen's decoder. */
const PIXELS_AT_ONCE = 2 ** 18;

/** After each step one more token of every image of a batch is final. */
export interface StepProgress {
  /** Tokens that are final, of all images. */
  readonly done: number;
  /** N · T */
  readonly total: number;
  /** Index of the batch's first image. */
  readonly firstImage: number;
  /** The last token that is final in every image of the batch, 0 … T-1. */
  readonly position: number;
  /** Of the batch, [images, T]: final ones, then the newest drafts, -1 beyond them. Valid until the next step; `decode` shows them. */
  readonly codes: Int32Array;
  /** Of the batch, [images, T, k]: the drafts so far, as in the result. Valid until the next step. */
  readonly trace: Int32Array;
  /** With `probabilities`, of the batch: those of the drafts so far. Valid until the next step. */
  readonly probabilities?: Float32Array;
}

/** What images are wanted, and how they are drawn. */
export interface GenerateOptions extends Subject {
  /** N; default 1. */
  readonly count?: number | undefined;
  /** Image i depends on the seed and i alone; default 0. */
  readonly seed?: number | undefined;
  /** Scale of classifier-free guidance, constant over all steps; 1, the default, is none. Several: one for each sub-token. */
  readonly scale?: PerFactor<number> | undefined;
  /** Guidance of any kind, in place of `scale`. */
  readonly guidance?: PerFactor<Guidance> | undefined;
  /** Default 1. */
  readonly temperature?: PerFactor<number> | undefined;
  /** Keep the K likeliest codes; 0, the default, keeps all. */
  readonly topK?: PerFactor<number> | undefined;
  /** Keep the likeliest codes up to this probability; 1, the default, keeps all. */
  readonly topP?: PerFactor<number> | undefined;
  /** How drafts are fed back; default "raw". By its name, "renoise" takes the noise rates of the model's training. */
  readonly drafts?: DraftPolicy | DraftPolicy["kind"] | undefined;
  /** λ, 0 … 1: the share of the trust in a token's own drafts that is taken back when it becomes final; 0 is the paper.
   * Default: 0, or 1 where the model's evidence is explicit. */
  readonly leaveOneOut?: number | undefined;
  /** Which random numbers codes are drawn with: of the step, the default, or of the position. */
  readonly draws?: Draws | undefined;
  /** Also tells the probabilities that final tokens and drafts were drawn with; default false. */
  readonly probabilities?: boolean | undefined;
  /** Stops between two steps, and throws the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /** Called after each step. The next one waits for what it returns, such as a picture by `decode`. */
  readonly onStep?: ((progress: StepProgress) => void | Promise<void>) | undefined;
}

/** Images, and the codes that they were decoded from. */
export interface GeneratedImages {
  readonly images: RgbaImage[];
  /** [N, T] */
  readonly codes: Int32Array;
  /** [N, T, k]: the drafts of every token from first to final, -1 where there was none. */
  readonly trace: Int32Array;
  /** With `probabilities`, [N, T, k]: those that the codes of `trace` were drawn with, 0 where there was none. */
  readonly probabilities?: Float32Array;
  /** What of a prompt is not read as it stands: that it is cut, has no words, or some that the model does not know. */
  readonly notes: readonly string[];
}

/** A model that makes images. Calls of `generate` run one after the other; `decode` runs between two of their steps. */
export class LoadedModel {
  readonly #opened: Opened;
  readonly #texts: TextReader;
  /** Calls that own the decoder's state. */
  readonly #calls = createQueue();
  /** Runs of a graph, which must not overlap on some devices. */
  readonly #runs = createQueue();

  constructor(opened: Opened, texts: TextReader) {
    this.#opened = opened;
    this.#texts = texts;
  }

  /** What is known of the model. */
  get description(): Description {
    return this.#opened.description;
  }

  /**
   * Makes images.
   * @throws TensorARError for options out of range or that the model does not take; the reason of `signal` when it aborts
   */
  generate(options: GenerateOptions = {}): Promise<GeneratedImages> {
    return this.#calls(() => this.#generate(options));
  }

  /**
   * Pictures of codes [N, T], such as those of a step; drafts that there are none of yet show code 0. While images are being
   * generated, before the next step.
   */
  decode(codes: Int32Array): Promise<RgbaImage[]> {
    const { tokens } = this.description;
    if (codes.length === 0 || codes.length % tokens !== 0)
      throw new TensorARError(`decode: ${codes.length} codes are no images of ${tokens}`);
    const drawn = codes.map((code) => (code === PAD ? 0 : code));
    return this.#decode(drawn);
  }

  /** Frees the runtime's memory; later calls fail. */
  dispose(): Promise<void> {
    const free = async () => void (await Promise.all([this.#opened.dispose(), this.#texts.dispose()]));
    return this.#calls(() => this.#runs(free));
  }

  async #generate(options: GenerateOptions): Promise<GeneratedImages> {
    requireOptions("generate", options, []);
    const { description, decoder } = this.#opened;
    const { count: N = 1, seed = 0, temperature, topK, topP, draws, signal, onStep } = options;
    if (!(Number.isInteger(N) && N > 0))
      throw new TensorARError(`generate: count ${N} is no number of images; use 1 or more`);
    const guidance = guidanceOf(options);
    refuseGuidance(description, guidance);
    const { conditions: subjects, notes } = await conditionsOf(description, options, this.#texts);
    const conditions = Array.from({ length: N }, (_, image) => subjects[image % subjects.length]!);
    const drafts = draftsOf(options.drafts, description);
    const { leaveOneOut: strength } = options;
    const { noiseRates: rates, evidence } = description;
    const leaveOneOut = strength === undefined ? undefined : { strength, rates, evidence };
    const sampling = { temperature, topK, topP, draws };
    const { probabilities: withProbabilities = false } = options;
    const kept = { trace: true, probabilities: withProbabilities } as const;
    const settings = { ...sampling, ...kept, seed, guidance, drafts, leaveOneOut, signal } as const;
    const { tokens: T, windowSize: k } = description;
    const [codes, trace] = [new Int32Array(N * T), new Int32Array(N * T * k)];
    const probabilities = withProbabilities ? new Float32Array(N * T * k) : undefined;
    const images: RgbaImage[] = [];
    for (let first = 0; first < N; first += BATCH) {
      const batch = conditions.slice(first, first + BATCH);
      const loop = generate(decoder, { ...settings, conditions: batch, firstIndex: first });
      for (;;) {
        const { done: finished, value: step } = await this.#runs(() => loop.next());
        if (finished) break;
        const { steps: _, ...soFar } = step;
        const done = first * T + (step.position + 1) * batch.length;
        await onStep?.({ done, total: N * T, firstImage: first, ...soFar });
        if (step.position < T - 1) continue;
        codes.set(step.codes, first * T);
        trace.set(step.trace, first * T * k);
        if (step.probabilities) probabilities?.set(step.probabilities, first * T * k);
      }
      images.push(...(await this.#decode(codes.slice(first * T, (first + batch.length) * T))));
    }
    return { images, codes, trace, ...(probabilities && { probabilities }), notes };
  }

  async #decode(codes: Int32Array): Promise<RgbaImage[]> {
    const { tokens, imageSize } = this.description;
    const most = Math.max(1, Math.floor(PIXELS_AT_ONCE / imageSize ** 2)) * tokens;
    const images: RgbaImage[] = [];
    for (let first = 0; first < codes.length; first += most)
      images.push(
        ...toImages(await this.#runs(() => this.#opened.decode(codes.slice(first, first + most))), imageSize),
      );
    return images;
  }
}

/** Runs jobs one after the other. */
function createQueue(): <T>(job: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve();
  return (job) => {
    const result = last.then(job, job);
    last = result.catch(() => undefined); // the caller gets the error; the next job runs all the same
    return result;
  };
}

function guidanceOf({ scale, guidance }: GenerateOptions): PerFactor<Guidance> {
  if (guidance !== undefined && scale !== undefined)
    throw new TensorARError("generate: scale and guidance are both given; give the scale in guidance");
  if (guidance !== undefined) return guidance;
  const constant = (each: number): Guidance => ({ kind: "constant", scale: each });
  return Array.isArray(scale) ? (scale as number[]).map(constant) : constant((scale as number | undefined) ?? 1);
}

/** Guidance needs what stands for no class. */
function refuseGuidance({ conditions }: Description, guidance: PerFactor<Guidance>): void {
  if (conditions.kind !== "class" || conditions.none >= 0) return;
  const all: readonly Guidance[] = Array.isArray(guidance) ? guidance : [guidance as Guidance];
  if (all.some(({ scale }) => scale > 1))
    throw new TensorARError(
      "generate: this model was trained without a class for none, which guidance needs; use scale 1",
    );
}

function draftsOf(drafts: GenerateOptions["drafts"], { noiseRates, blanks }: Description): DraftPolicy | undefined {
  const kind = typeof drafts === "string" ? drafts : drafts?.kind;
  if (kind === "blank" && !blanks)
    throw new TensorARError('generate: drafts "blank": the model was trained without blanks; use another kind');
  if (typeof drafts !== "string") return drafts;
  if (drafts === "renoise") return { kind: drafts, rates: noiseRates };
  const kinds: readonly DraftPolicy["kind"][] = ["raw", "argmax", "noise", "blank"];
  if (kinds.includes(drafts)) return { kind: drafts };
  throw new TensorARError(
    `generate: drafts ${quote(drafts)} are unknown; use "raw", "renoise", "argmax", "noise", "blank"`,
  );
}
