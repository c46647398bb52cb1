import { TensorARError } from "@tensorar/core";
import { PAD } from "@tensorar/noise";
import type { Decoder, DecodeSession } from "./decoder";
import { type DraftPolicy, disturbDrafts } from "./drafts";
import { type DrawTensor, drawTensors, type MultiplyProbabilities, probabilitiesOf } from "./draw";
import { isGuided, mixGuided, scaleAt } from "./guidance";
import { leaveOneOut, viewAmounts } from "./leave-one-out";
import { type Factor, factorsOf, type GenerateOptions, RAW, type Request, requestsOf } from "./options";

// N images · R rows, N or 2N with guidance · T tokens · k window · V codes · L positions of an image in one step

/** Images on their way. */
export interface Batch {
  readonly session: DecodeSession;
  readonly sizes: Readonly<Record<"tokens" | "windowSize" | "vocabSize", number>>;
  readonly requests: readonly Request[];
  readonly factors: readonly Factor[];
  readonly drafts: DraftPolicy;
  readonly draw: DrawTensor;
  readonly multiplyProbabilities: MultiplyProbabilities;
  /** Of views at depths 1 … k-1: what is taken from the logits of their codes; none where nothing is. */
  readonly viewAmounts: readonly number[];
  readonly guided: boolean;
  /** Whether entries are drawn one after the other. */
  readonly chained: boolean;
  /** W */
  readonly parallel: number;
  /** [N]: tokens that are final. */
  readonly final: Int32Array;
  /** [N]: tensors that were drawn, with inputs that may still change. */
  readonly drawn: Int32Array;
  /** [N] */
  readonly steps: Int32Array;
  /** [N, T, k]: the tensor at each position as it was drawn last, PAD past the end. */
  readonly tensors: Int32Array;
  /** [N, T, k]: the same as the model is shown them. */
  readonly inputs: Int32Array;
  /** [N, T] */
  readonly codes: Int32Array;
  /** [N, T, k] */
  readonly trace?: Int32Array;
  /** [N, T, k], of the codes of a trace. */
  readonly probabilities?: Float32Array;
}

/** What a step has drawn. */
interface Drawn {
  /** By sub-token: [R, L, k] */
  readonly known: Int32Array[];
  /** [N, L, k] */
  readonly probabilities: Float32Array | undefined;
}

export function beginBatch<C>(decoder: Decoder<C>, options: GenerateOptions<C>): Batch {
  const { tokens: T, windowSize: k } = decoder;
  const { conditions, draws = "step", parallel = 1 } = options;
  const drafts = options.drafts ?? RAW;
  const N = conditions.length;
  const factors = factorsOf(decoder, options);
  const requests = requestsOf(options);
  const guided = factors.some(({ guidance }) =>
    requests.some(({ scale = guidance.scale }) => isGuided({ ...guidance, scale })),
  );
  const session = decoder.start(guided ? withUnconditional(decoder, conditions) : conditions);
  if (parallel > 1 && !(session.verify && session.commit))
    throw new TensorARError(
      `generate: this decoder runs one position at a time; use parallel 1, or give it the function of several (runPositions)`,
    );
  return {
    session,
    sizes: decoder,
    requests,
    factors,
    drafts,
    draw: drawTensors(draws, { factors, images: requests, drafts, tokens: T, windowSize: k, parallel }),
    multiplyProbabilities: probabilitiesOf({ factors, images: requests, drafts }),
    viewAmounts: viewAmounts(options.leaveOneOut, decoder.vocabSize),
    guided,
    chained: decoder.chained ?? false,
    parallel,
    final: new Int32Array(N),
    drawn: new Int32Array(N),
    steps: new Int32Array(N),
    tensors: new Int32Array(N * T * k).fill(PAD),
    inputs: new Int32Array(N * T * k).fill(PAD),
    codes: new Int32Array(N * T).fill(PAD),
    ...(options.trace && { trace: new Int32Array(N * T * k).fill(PAD) }),
    ...(options.probabilities && { probabilities: new Float32Array(N * T * k) }),
  };
}

/** [N] → [2N]: every condition, then what stands for none beside each. */
function withUnconditional<C>(decoder: Decoder<C>, conditions: ArrayLike<C>): C[] {
  const all = Array.from(conditions);
  return [...all, ...all.map((condition) => decoder.unconditional(condition))];
}

/** Predicts, draws and commits: at least one more token of every image that is not finished. */
export async function step(batch: Batch): Promise<void> {
  const { session, sizes, final, parallel, factors, guided } = batch;
  const { tokens: T, windowSize: k } = sizes;
  const N = final.length;
  const begun = final[0]! > 0;
  const together = begun && parallel > 1;
  const L = together ? Math.min(parallel, T - Math.min(...final)) : 1;
  const windows = new Int32Array((guided ? 2 * N : N) * L * k); // valid codes: models may look those up that are not read
  if (begun) fillInputs(batch, L, windows);
  const drawn: Drawn = {
    known: [],
    probabilities: batch.probabilities && new Float32Array(N * L * k).fill(1),
  };
  const first = await (together ? session.verify!(windows) : session.step(windows)); // [R, L, k, V_0], chained [R, L, V]
  if (batch.chained) drawn.known.push(await drawChain(batch, L, first, drawn.probabilities));
  else
    for (const factor of factors.keys()) {
      const logits = factor === 0 ? first : await session.nextSubToken!(drawn.known); // [R, L, k, V_f]
      drawn.known.push(drawFactor(batch, factor, L, logits, drawn.probabilities));
    }
  const counts = new Int32Array(guided ? 2 * N : N);
  for (let row = 0; row < N; row++) if (final[row]! < T) counts[row] = advance(batch, row, L, drawn);
  if (guided) counts.copyWithin(N, 0, N);
  if (together) session.commit!(counts);
}

/** What the model is shown of every image: the tensor of its last final token, then drafts of those after it. */
function fillInputs(batch: Batch, L: number, windows: Int32Array): void {
  const { sizes, final, inputs, guided } = batch;
  const { tokens: T, windowSize: k } = sizes;
  for (let row = 0; row < final.length; row++) {
    if (final[row]! === T) continue;
    const [first, end] = [final[row]! - 1, Math.min(T - 1, final[row]! - 1 + L)];
    draftUpTo(batch, row, end);
    windows.set(inputs.subarray((row * T + first) * k, (row * T + end) * k), row * L * k);
  }
  if (guided) windows.copyWithin(windows.length / 2, 0, windows.length / 2);
}

/** Drafts tensors that none was drawn for yet: that of the position before, moved on by one, its last token twice. */
function draftUpTo({ sizes, drawn, tensors, ...batch }: Batch, row: number, end: number): void {
  const { tokens: T, windowSize: k } = sizes;
  for (let position = drawn[row]!; position < end; position++) {
    const at = (row * T + position) * k;
    const entries = Math.min(k, T - position);
    const before = tensors.subarray(at - k, at - k + Math.min(k, T - position + 1));
    for (let entry = 0; entry < entries; entry++) tensors[at + entry] = before[Math.min(entry + 1, before.length - 1)]!;
    batch.inputs.set(shown({ sizes, ...batch }, row, position, tensors.subarray(at, at + k)), at);
    drawn[row] = position + 1;
  }
}

/** A tensor as the model is shown it: [k]. */
function shown(
  { drafts, requests, sizes }: Pick<Batch, "drafts" | "requests" | "sizes">,
  row: number,
  position: number,
  tensor: Int32Array,
): Int32Array {
  const { tokens: T, windowSize: k, vocabSize } = sizes;
  const input = tensor.slice();
  disturbDrafts(drafts, vocabSize, { ...requests[row]!, position }, input.subarray(0, Math.min(k, T - position)));
  return input;
}

/**
 * Draws one sub-token of all tensors of a step from its logits [R, L, k, V_f], which guidance changes: [R, L, k].
 * @param probabilities [N, L, k], multiplied by those of what is drawn
 */
function drawFactor(
  batch: Batch,
  factor: number,
  L: number,
  logits: Float32Array,
  probabilities: Float32Array | undefined,
): Int32Array {
  const { sizes, factors, guided, draw } = batch;
  const { tokens: T, windowSize: k } = sizes;
  const { size } = factors[factor]!;
  const out = new Int32Array(logits.length / size); // [R, L, k]
  for (const { row, position, at } of tensorsOf(batch, L)) {
    mix(batch, { factor, row, position, L }, logits, at * size, k * size);
    if (batch.viewAmounts.length > 0) leaveOneOut(logits, at * size, viewsOf(batch, row, position), batch.viewAmounts);
    const [where, end] = [{ factor, row, position }, at + Math.min(k, T - position)];
    const codes = out.subarray(at, end);
    draw(where, logits, at * size, codes);
    if (probabilities) batch.multiplyProbabilities(where, logits, at * size, codes, probabilities.subarray(at, end));
  }
  if (guided) out.copyWithin(out.length / 2, 0, out.length / 2);
  return out;
}

/**
 * As {@link drawFactor}, of chained decoders: each entry from logits that know the entries drawn before it.
 * @param first [R, L, V]: logits of entry 0
 */
async function drawChain(
  batch: Batch,
  L: number,
  first: Float32Array,
  probabilities: Float32Array | undefined,
): Promise<Int32Array> {
  const { sizes, factors, guided, draw, session } = batch;
  const { tokens: T, windowSize: k } = sizes;
  const { size: V } = factors[0]!;
  const tensors = first.length / V; // R · L
  const all = new Float32Array(tensors * k * V); // [R, L, k, V]: logits of entries so far
  const out = new Int32Array(tensors * k); // [R, L, k]
  const known: Int32Array[] = []; // [R, L] each
  for (let entry = 0; entry < k; entry++) {
    const logits = entry === 0 ? first : await session.nextEntry!(known);
    for (let i = 0; i < tensors; i++) all.set(logits.subarray(i * V, (i + 1) * V), (i * k + entry) * V);
    for (const { row, position, at } of tensorsOf(batch, L)) {
      if (entry >= T - position) continue;
      const where = { factor: 0, row, position };
      mix(batch, { ...where, L }, all, (at + entry) * V, V);
      if (entry === 0 && batch.viewAmounts.length > 0)
        leaveOneOut(all, at * V, viewsOf(batch, row, position), batch.viewAmounts);
      const codes = out.subarray(at, at + entry + 1);
      draw(where, all, at * V, codes); // the entries before are drawn as before, with the same numbers
      if (probabilities && entry === Math.min(k, T - position) - 1)
        batch.multiplyProbabilities(where, all, at * V, codes, probabilities.subarray(at, at + entry + 1));
    }
    if (guided) out.copyWithin(out.length / 2, 0, out.length / 2);
    known.push(Int32Array.from({ length: tensors }, (_, i) => out[i * k + entry]!));
  }
  return out;
}

/** Tensors that a step draws, of images that are not finished. `at`: index of entry 0 in [R, L, k]. */
function* tensorsOf({ sizes, final }: Batch, L: number) {
  for (const [row, begun] of final.entries())
    for (let entry = 0; entry < Math.min(L, sizes.tokens - begun); entry++)
      yield { row, position: begun + entry, at: (row * L + entry) * sizes.windowSize };
}

/** Mixes guidance into some logits of an image. @param logits [R, L, k, V_f] */
function mix(
  { factors, requests, sizes, final }: Batch,
  { factor, row, position, L }: Readonly<Record<"factor" | "row" | "position" | "L", number>>,
  logits: Float32Array,
  offset: number,
  count: number,
): void {
  const { size, guidance } = factors[factor]!;
  const own = { ...guidance, scale: requests[row]!.scale ?? guidance.scale };
  const distance = final.length * L * sizes.windowSize * size; // to those without a condition
  if (isGuided(own)) mixGuided(logits, offset, distance, count, scaleAt(own, position, sizes.tokens));
}

/** Codes that the model was shown of a position, at depths 1 … k-1; PAD or BLANK where there was none. */
function viewsOf({ sizes, inputs }: Batch, row: number, position: number): number[] {
  const { tokens: T, windowSize: k } = sizes;
  return Array.from({ length: k - 1 }, (_, i) =>
    position > i ? inputs[(row * T + position - 1 - i) * k + i + 1]! : PAD,
  );
}

/**
 * Takes what was drawn for an image. It is final up to the first tensor that differs from the one which the model was shown.
 * @returns tokens that became final, at least one
 */
function advance(batch: Batch, row: number, L: number, { known, probabilities }: Drawn): number {
  const { sizes, final, drawn, tensors, inputs, codes, trace, factors } = batch;
  const { tokens: T, windowSize: k } = sizes;
  const first = final[row]!;
  const end = Math.min(T, first + L);
  let exact = 1; // positions whose inputs were right
  for (let position = first; position < end; position++) {
    const from = (row * L + position - first) * k;
    const at = (row * T + position) * k;
    const tensor = tensors.subarray(at, at + k);
    const inside = tensor.subarray(0, T - position);
    for (let entry = 0; entry < inside.length; entry++) inside[entry] = joinFactors(factors, known, from + entry);
    codes.set(inside, row * T + position);
    const input = shown(batch, row, position, tensor);
    if (position === first + exact - 1) {
      if (trace) recordDrafts(trace, inside, row * T + position, k);
      if (probabilities && batch.probabilities)
        recordDrafts(batch.probabilities, probabilities.subarray(from, from + inside.length), row * T + position, k);
      if (position + 1 < end && isSame(input, inputs, at)) exact++;
    }
    inputs.set(input, at);
  }
  final[row] = first + exact;
  drawn[row] = Math.max(drawn[row]!, end);
  batch.steps[row]!++;
  return exact;
}

const isSame = (tensor: Int32Array, all: Int32Array, at: number): boolean =>
  tensor.every((code, entry) => code === all[at + entry]);

/** The code whose sub-tokens lie at index `at`. */
const joinFactors = (factors: readonly Factor[], known: readonly Int32Array[], at: number): number =>
  factors.reduceRight((above, { size }, factor) => above * size + known[factor]![at]!, 0);

/** Entry j of a tensor is the (k-1-j)-th draft of its position. @param at index of the first entry's position in [N · T] */
function recordDrafts<A extends Int32Array | Float32Array>(trace: A, entries: A, at: number, k: number): void {
  for (let j = 0; j < entries.length; j++) trace[(at + j) * k + (k - 1 - j)] = entries[j]!;
}
