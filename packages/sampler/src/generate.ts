import { requireOptions, TensorARError } from "@tensorar/core";
import { createStream, PAD } from "@tensorar/noise";
import { type Categorical, checkSampling, createCategorical, type SamplingOptions, UNFILTERED } from "./categorical";
import type { Decoder } from "./decoder";
import { checkDrafts, type DraftPolicy, disturbDrafts, sampleDrafts, streamPurpose } from "./drafts";
import { checkGuidance, type Guidance, isGuided, mixGuided, scaleAt, UNGUIDED } from "./guidance";

// N images · R rows, N or 2N with guidance · T tokens · k window · V codes

/** One for all sub-tokens of a code, or one for each. Codes of most models are one. */
export type PerFactor<T> = T | readonly T[];

/** What images are wanted, and how codes are drawn. */
export interface GenerateOptions<C = number> {
  /** [N] */
  readonly conditions: ArrayLike<C>;
  /**
   * Image i of a run depends on the seed and its index alone, not on the batch that it is made in. With a list, one for each
   * image, every image is the one of index `firstIndex` in a run of its own: requests of several users in one batch.
   * Default 0.
   */
  readonly seed?: number | ArrayLike<number> | undefined;
  /** Index of the first image of this batch; default 0. */
  readonly firstIndex?: number | undefined;
  /** Default: none, a constant scale of 1. */
  readonly guidance?: PerFactor<Guidance> | undefined;
  /** [N]: each image's own scale, in place of that of `guidance`. */
  readonly scales?: ArrayLike<number> | undefined;
  /** See {@link SamplingOptions}; default 1. */
  readonly temperature?: PerFactor<number> | undefined;
  /** Default 0, which keeps all codes. */
  readonly topK?: PerFactor<number> | undefined;
  /** Default 1, which keeps all codes. */
  readonly topP?: PerFactor<number> | undefined;
  /** Default: as they are sampled, the paper's loop. */
  readonly drafts?: DraftPolicy | undefined;
  /** Keep all drafts of every position. */
  readonly trace?: boolean | undefined;
  /** Stops the loop between two steps, which then throws the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/** The codes of a batch. */
export interface Generated {
  /** [N, T] */
  readonly codes: Int32Array;
  /** With `trace`: [N, T, k], the drafts of every position from first (depth 0) to final (depth k-1); PAD where there was none. */
  readonly trace?: Int32Array;
}

/** The drafts of a batch beside its codes. */
export interface Traced extends Generated {
  readonly trace: Int32Array;
}

/**
 * After each step: one more position of every image is final. Codes and trace are those so far, the same arrays at every
 * step: codes are final up to `position`, then the newest drafts, PAD beyond them. Those of the last step are the result.
 */
export interface GenerateStep extends Generated {
  /** 0 … T-1 */
  readonly position: number;
}

/**
 * Generates a batch of images, refining as it goes. Source: Cheng et al. 2026, inference: each step makes one position
 * final and drafts the k-1 after it, which the next step revises.
 *
 * @returns yields after every step; the last step holds what is returned: all codes, and the trace
 * @throws TensorARError for options out of range and logits that are NaN; the reason of `signal` when it aborts
 */
export function generate<C = number>(
  decoder: Decoder<C>,
  options: GenerateOptions<C> & { readonly trace: true },
): AsyncGenerator<GenerateStep & Traced, Traced>;
export function generate<C = number>(
  decoder: Decoder<C>,
  options: GenerateOptions<C>,
): AsyncGenerator<GenerateStep, Generated>;
export async function* generate<C = number>(
  decoder: Decoder<C>,
  options: GenerateOptions<C>,
): AsyncGenerator<GenerateStep, Generated> {
  check(decoder, options);
  const { tokens: T, windowSize: k, vocabSize: V } = decoder;
  const { conditions, signal } = options;
  const drafts = options.drafts ?? RAW;
  const N = conditions.length;
  const factors = factorsOf(decoder, options);
  const requests = requestsOf(options);
  const guided = factors.some(({ guidance }) =>
    requests.some(({ scale = guidance.scale }) => isGuided({ ...guidance, scale })),
  );
  const session = decoder.start(guided ? withTwins(decoder, conditions) : conditions);
  // Made at once: between two steps, whose caches are cold, one would take several times as long. [factors][N][T]
  const uniforms = factors.map((_, factor) => requests.map((request) => tokenUniforms(request, factor, T)));
  const codes = new Int32Array(N * T).fill(PAD);
  const trace = options.trace ? new Int32Array(N * T * k).fill(PAD) : undefined;
  const windows = new Int32Array((guided ? 2 * N : N) * k); // valid codes: models may look the ignored first one up

  for (let position = 0; position < T; position++) {
    signal?.throwIfAborted();
    const entries = Math.min(k, T - position); // of the tensor that lie inside the image
    const known: Int32Array[] = []; // sub-tokens [R, k]
    for (const [factor, { size, guidance, categorical, sampling }] of factors.entries()) {
      const logits = await (factor === 0 ? session.step(windows) : session.nextFactor!(known)); // [R, k, V_f]
      if (guided)
        for (const [row, { scale = guidance.scale }] of requests.entries()) {
          const own = { ...guidance, scale };
          if (isGuided(own)) mixGuided(logits, row * k * size, N * k * size, k * size, scaleAt(own, position, T));
        }
      const drawn = new Int32Array(windows.length);
      for (let row = 0; row < N; row++) {
        const { seed, image } = requests[row]!;
        const address = { seed, image, position, factor, where: `image ${image}, token ${position}` };
        const uniform = uniforms[factor]![row]![position]!;
        const inside = drawn.subarray(row * k, row * k + entries);
        inside[0] = categorical.sample(logits, row * k * size, sampling, uniform, address.where);
        sampleDrafts(drafts, categorical, logits, row * k * size, size, address, inside);
      }
      if (guided) drawn.copyWithin(N * k, 0, N * k);
      known.push(drawn);
    }
    for (let row = 0; row < N; row++) {
      const drawn = new Int32Array(k).fill(PAD);
      const inside = drawn.subarray(0, entries);
      for (let entry = 0; entry < entries; entry++) inside[entry] = joinFactors(factors, known, row * k + entry);
      codes.set(inside, row * T + position);
      if (trace) recordDrafts(trace, inside, row * T + position, k);
      disturbDrafts(drafts, V, { ...requests[row]!, position }, inside);
      windows.set(drawn, row * k);
    }
    if (guided) windows.copyWithin(N * k, 0, N * k);
    yield { position, codes, ...(trace && { trace }) };
  }
  return { codes, ...(trace && { trace }) };
}

const RAW: DraftPolicy = { kind: "raw" };

/** What is each image's own. */
interface Request {
  readonly seed: number;
  /** Index in its run. */
  readonly image: number;
  readonly scale?: number;
}

function requestsOf<C>({ conditions, seed = 0, firstIndex = 0, scales }: GenerateOptions<C>): Request[] {
  const own = typeof seed !== "number";
  return Array.from({ length: conditions.length }, (_, row) => ({
    seed: own ? seed[row]! : seed,
    image: own ? firstIndex : firstIndex + row,
    ...(scales && { scale: scales[row]! }),
  }));
}

/** The numbers that the final tokens of an image are drawn with. */
const tokenUniforms = ({ seed, image }: Request, factor: number, tokens: number): Float64Array =>
  Float64Array.from({ length: tokens }, (_, position) =>
    createStream(seed, streamPurpose("token", factor), image, position).uniform(),
  );

interface Factor {
  /** V_f */
  readonly size: number;
  readonly guidance: Guidance;
  readonly sampling: SamplingOptions;
  readonly categorical: Categorical;
}

/** How each sub-token is drawn; one of them stands for a whole token. */
function factorsOf<C>({ factors = [], vocabSize }: Decoder<C>, options: GenerateOptions<C>): Factor[] {
  const { guidance = UNGUIDED } = options;
  const { temperature = UNFILTERED.temperature, topK = UNFILTERED.topK, topP = UNFILTERED.topP } = options;
  const sizes = factors.length === 0 ? [vocabSize] : factors;
  const nth = <T>(value: PerFactor<T>, factor: number, name: string): T => {
    if (!Array.isArray(value)) return value as T;
    if (value.length === sizes.length) return value[factor] as T;
    throw new TensorARError(
      `generate: ${value.length} values of ${name} for ${sizes.length} sub-tokens; pass one, or one for each`,
    );
  };
  return sizes.map((size, factor) => ({
    size,
    guidance: nth(guidance, factor, "guidance"),
    sampling: {
      temperature: nth(temperature, factor, "temperature"),
      topK: nth(topK, factor, "topK"),
      topP: nth(topP, factor, "topP"),
    },
    categorical: createCategorical(size),
  }));
}

/** The code whose sub-tokens lie at index `at`. */
const joinFactors = (factors: readonly Factor[], known: readonly Int32Array[], at: number): number =>
  factors.reduceRight((above, { size }, factor) => above * size + known[factor]![at]!, 0);

/** [N] → [2N]: every condition, then what stands for none beside each. */
function withTwins<C>(decoder: Decoder<C>, conditions: ArrayLike<C>): C[] {
  const all = Array.from(conditions);
  return [...all, ...all.map((condition) => decoder.unconditional(condition))];
}

/** Entry j of a tensor is the (k-1-j)-th draft of its position. @param at index of the first entry's position in [N · T] */
function recordDrafts(trace: Int32Array, entries: Int32Array, at: number, k: number): void {
  entries.forEach((code, j) => {
    trace[(at + j) * k + (k - 1 - j)] = code;
  });
}

function check<C>(decoder: Decoder<C>, options: GenerateOptions<C>): void {
  requireOptions("generate", decoder, ["windowSize", "tokens", "vocabSize", "start"]);
  requireOptions("generate", options, []);
  const { windowSize, tokens } = decoder;
  const { conditions, firstIndex = 0, seed, scales } = options;
  if (!conditions?.length) throw new TensorARError("generate: no conditions; pass one for each image");
  for (const [name, list] of Object.entries({ seed, scales }))
    if (typeof list === "object" && list?.length !== conditions.length)
      throw new TensorARError(
        `generate: ${list?.length ?? 0} values of ${name} for ${conditions.length} images; give one each`,
      );
  if (!(Number.isInteger(firstIndex) && firstIndex >= 0))
    throw new TensorARError(`generate: firstIndex ${firstIndex} is no image; use 0 or more`);
  if (windowSize > tokens)
    throw new TensorARError(`generate: window ${windowSize} does not fit an image of ${tokens} tokens`);
  for (const { sampling, guidance } of factorsOf(decoder, options)) {
    checkSampling(sampling);
    for (const scale of scales ? Array.from(scales) : [guidance?.scale]) checkGuidance({ ...guidance, scale });
  }
  checkDrafts(options.drafts ?? RAW, windowSize);
}
