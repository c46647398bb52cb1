import { requireOptions, TensorARError } from "@tensorar/core";
import { createStream, PAD } from "@tensorar/noise";
import { type Categorical, checkSampling, createCategorical, type SamplingOptions, UNFILTERED } from "./categorical";
import type { Decoder } from "./decoder";
import { disturbDrafts } from "./drafts";
import { checkGuidance, type Guidance, isGuided, mixGuided, scaleAt, UNGUIDED } from "./guidance";

// R rows, 1 or 2 with guidance · L slots of a call · k window · V codes · T tokens

/** What image is wanted, and how far drafts are proposed. */
export interface SpeculateOptions<C = number> {
  readonly condition: C;
  /** Default 0. */
  readonly seed?: number | undefined;
  /** Index of the image in its run; default 0. */
  readonly index?: number | undefined;
  /** Default: none, a constant scale of 1. */
  readonly guidance?: Guidance | undefined;
  /** See {@link SamplingOptions}; default 1. */
  readonly temperature?: number | undefined;
  /** Default 0, which keeps all codes. */
  readonly topK?: number | undefined;
  /** Default 1, which keeps all codes. */
  readonly topP?: number | undefined;
  /** Temperature of the drafts, which decides how often they are accepted, never what comes out; default 1. */
  readonly draftTemperature?: number | undefined;
  /** m: tokens that one step may make final, 2 … k; default k. */
  readonly lookahead?: number | undefined;
  /** Stops the loop between two steps, which then throws the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/** The codes of an image, and how many steps they took. */
export interface Speculated {
  /** [T] */
  readonly codes: Int32Array;
  /** Calls of the model; T without looking ahead. */
  readonly steps: number;
}

/** After each step, those so far; codes are the same array at every step, PAD where none is final yet. */
export interface SpeculateStep extends Speculated {
  /** The last position that is final. */
  readonly position: number;
}

/**
 * Generates one image with drafts as proposals instead of as inputs: a step feeds the last final token and the drafts of the
 * ones after it, and keeps the longest prefix of drafts that speculative sampling accepts, with one more token. The codes
 * have exactly the distribution of `generate` with drafts of kind `noise`, one token a step: what the model is shown of
 * later positions is noise there as here, addressed by seed, image and position.
 * Source: Leviathan et al. 2023, "Fast inference from transformers via speculative decoding", algorithm 1; proposals from
 * further heads as in Stern et al. 2018. Not part of TensorAR's paper.
 *
 * @returns yields after every step, which may make several positions final; the last step holds what is returned
 * @throws TensorARError for options out of range, decoders that can't look ahead and logits that are NaN; the reason of
 *   `signal` when it aborts
 */
export async function* speculate<C = number>(
  decoder: Decoder<C>,
  options: SpeculateOptions<C>,
): AsyncGenerator<SpeculateStep, Speculated> {
  const { tokens: T, windowSize: k, vocabSize: V } = decoder;
  const { condition, seed, image, guidance, lookahead, target, draftTemperature, signal } = settingsOf(
    decoder,
    options,
  );
  const guided = isGuided(guidance);
  const R = guided ? 2 : 1;
  const session = decoder.start(guided ? [condition, decoder.unconditional(condition)] : [condition]);
  if (!session.lookAhead || !session.keep)
    throw new TensorARError("speculate: this decoder can't look ahead; give it the function of several slots");
  const categorical = createCategorical(V);
  const proposing: SamplingOptions = { ...UNFILTERED, temperature: draftTemperature };
  const codes = new Int32Array(T).fill(PAD);
  let [final, steps] = [0, 0];

  /** What is fed after token `position`: the token, and noise in place of its drafts. */
  const tensorAfter = (position: number, code: number): Int32Array => {
    const tensor = new Int32Array(k).fill(PAD);
    const inside = tensor.subarray(0, Math.min(k, T - position));
    inside[0] = code;
    disturbDrafts({ kind: "noise" }, V, { seed, image, position }, inside);
    return tensor;
  };
  const where = (position: number) => `image ${image}, token ${position}`;

  signal?.throwIfAborted();
  // The condition's own step makes token 0 final; its further rows propose the tokens after it.
  let logits = await session.step(new Int32Array(R * k)); // [R, 1, k, V]
  if (guided) mixGuided(logits, 0, k * V, k * V, scaleAt(guidance, 0, T));
  steps++;
  codes[0] = categorical.sample(logits, 0, target, createStream(seed, "token", image, 0).uniform(), where(0));
  final = 1;
  let rows = logits.slice(0, k * V); // [k, V]: of the slot that predicted the last final token
  yield { position: final - 1, codes, steps };

  while (final < T) {
    signal?.throwIfAborted();
    const L = Math.min(lookahead, T - final);
    // A position may be proposed again with the same number: what it drew before was thrown away unseen.
    // Proposals of tokens final … final + L - 2, from rows 1 … L - 1, each with its distribution.
    const proposals = Array.from({ length: L - 1 }, (_, i) => {
      const position = final + i;
      const distribution = distributionOf(categorical, rows, (i + 1) * V, proposing, where(position));
      const stream = createStream(seed, "proposal", image, position);
      return { code: pick(distribution, stream.uniform()), distribution };
    });
    const fed = new Int32Array(R * L * k);
    for (let slot = 0; slot < L; slot++) {
      const position = final - 1 + slot;
      const tensor = tensorAfter(position, slot === 0 ? codes[position]! : proposals[slot - 1]!.code);
      for (let row = 0; row < R; row++) fed.set(tensor, (row * L + slot) * k);
    }
    logits = await session.lookAhead(fed); // [R, L, k, V]
    steps++;
    if (guided) {
      const half = L * k * V;
      for (let slot = 0; slot < L; slot++)
        mixGuided(logits, slot * k * V, half, k * V, scaleAt(guidance, final + slot, T));
    }
    let accepted = 0;
    for (;;) {
      const position = final + accepted;
      const wanted = distributionOf(categorical, logits, accepted * k * V, target, where(position));
      const stream = createStream(seed, "accept", image, position);
      const proposal = proposals[accepted];
      if (proposal === undefined) {
        codes[position] = pick(wanted, stream.uniform()); // all were accepted: one more token for nothing
        break;
      }
      const { code, distribution } = proposal;
      if (stream.uniform() * distribution[code]! < wanted[code]!) {
        codes[position] = code;
        accepted++;
        continue;
      }
      codes[position] = pick(residual(wanted, distribution), stream.uniform());
      break;
    }
    session.keep(accepted + 1); // slots whose entry 0 is final
    rows = logits.slice(accepted * k * V, (accepted + 1) * k * V);
    final += accepted + 1;
    yield { position: final - 1, codes, steps };
  }
  return { codes, steps };
}

/** Probabilities of one row of logits under these options. */
function distributionOf(
  categorical: Categorical,
  logits: Float32Array,
  offset: number,
  options: SamplingOptions,
  where: string,
): Float64Array {
  const { weights, total } = categorical.weights(logits, offset, options, where);
  return weights.map((weight) => weight / total);
}

/** What is left of the target where proposals fall short of it: `max(0, p - q)`, up to a factor. */
function residual(target: Float64Array, proposal: Float64Array): Float64Array {
  const rest = target.map((p, code) => Math.max(0, p - proposal[code]!));
  // Rounding alone can leave nothing, where both are the same; then nothing is rejected but by rounding.
  return rest.some((weight) => weight > 0) ? rest : target;
}

/** The code at `uniform` in [0, 1) of the cumulative weights. */
function pick(weights: Float64Array, uniform: number): number {
  let rest = uniform * weights.reduce((sum, weight) => sum + weight, 0);
  let last = 0;
  for (let code = 0; code < weights.length; code++) {
    if (weights[code] === 0) continue;
    last = code;
    rest -= weights[code]!;
    if (rest < 0) return code;
  }
  return last;
}

/** The options with their defaults, checked. `target` is how final tokens are drawn. */
function settingsOf<C>({ windowSize, tokens, factors }: Decoder<C>, options: SpeculateOptions<C>) {
  requireOptions("speculate", options, ["condition"]);
  const { condition, seed = 0, index: image = 0, guidance = UNGUIDED, signal } = options;
  const { lookahead = windowSize, draftTemperature = 1 } = options;
  const { temperature = UNFILTERED.temperature, topK = UNFILTERED.topK, topP = UNFILTERED.topP } = options;
  const target: SamplingOptions = { temperature, topK, topP };
  if (factors && factors.length > 1)
    throw new TensorARError("speculate: tokens of sub-tokens can't be proposed; use generate");
  if (!(Number.isInteger(lookahead) && lookahead >= 2 && lookahead <= windowSize))
    throw new TensorARError(
      `speculate: lookahead ${lookahead} does not fit a window of ${windowSize}; use ${windowSize < 2 ? "a model with TensorAR" : `2 … ${windowSize}`}`,
    );
  if (windowSize > tokens)
    throw new TensorARError(`speculate: window ${windowSize} does not fit an image of ${tokens} tokens`);
  if (!(Number.isInteger(image) && image >= 0))
    throw new TensorARError(`speculate: index ${image} is no image; use 0 or more`);
  checkSampling(target);
  checkSampling({ ...UNFILTERED, temperature: draftTemperature });
  checkGuidance(guidance);
  return { condition, seed, image, guidance, lookahead, target, draftTemperature, signal };
}
