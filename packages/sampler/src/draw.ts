import { createStream } from "@tensorar/noise";
import type { Categorical } from "./categorical";
import { type DraftPolicy, draftTemperatureOf } from "./drafts";
import { type ImageAddress, positionWords, streamName, tokenUniforms } from "./random";
import type { SamplingOptions } from "./sampling-options";

// N images · T tokens · k window · V_f codes of a sub-token

/** Which random numbers codes are drawn with. */
export type Draws =
  /** Numbers of its own for every final token and every draft. */
  | "step"
  /**
   * One Gumbel vector for each position, for all of its drafts and its final token: a draft changes only when its distribution
   * does. Sources: common random numbers; Gumbel-max coupling as in arXiv 2510.24211. Exact where drafts are withheld; where they
   * are fed back, what the model is shown depends on the numbers that it is sampled with.
   */
  | "position";

/** How one sub-token is drawn; one of them stands for a whole token. */
export interface FactorSampling {
  /** V_f */
  readonly size: number;
  readonly sampling: SamplingOptions;
  readonly categorical: Categorical;
}

/**
 * Draws one sub-token of all entries of the tensor at a position.
 * @param logits from `offset` on [k, V_f]
 * @param out as many entries as lie inside the image: the final token, then drafts
 */
export type DrawTensor = (
  at: { readonly factor: number; readonly row: number; readonly position: number },
  logits: Float32Array,
  offset: number,
  out: Int32Array,
) => void;

/**
 * Multiplies the probability that the entries of the tensor at a position were drawn with by that of one of their sub-tokens.
 * @param logits from `offset` on [k, V_f], as they were drawn from
 * @param codes sub-tokens that were drawn, as many as lie inside the image
 * @param out as many
 */
export type MultiplyProbabilities = (
  at: { readonly factor: number; readonly row: number; readonly position: number },
  logits: Float32Array,
  offset: number,
  codes: Int32Array,
  out: Float32Array,
) => void;

interface Drawing {
  readonly factors: readonly FactorSampling[];
  /** [N] */
  readonly images: readonly ImageAddress[];
  readonly drafts: DraftPolicy;
  readonly tokens: number;
  readonly windowSize: number;
  /** Positions of an image that one step predicts after. */
  readonly parallel: number;
}

export const drawTensors = (draws: Draws, drawing: Drawing): DrawTensor =>
  draws === "step" ? withNumbersOfSteps(drawing) : withNumbersOfPositions(drawing);

function withNumbersOfSteps({ factors, images, drafts, tokens }: Drawing): DrawTensor {
  // Made at once: between two steps, whose caches are cold, one would take several times as long. [factors][N][T]
  const uniforms = factors.map((_, factor) => images.map((address) => tokenUniforms(address, factor, tokens)));
  return ({ factor, row, position }, logits, offset, out) => {
    const { size, sampling, categorical } = factors[factor]!;
    const { seed, image } = images[row]!;
    const where = placeOf(image, position);
    out[0] = categorical.sample(logits, offset, sampling, uniforms[factor]![row]![position]!, where);
    if (out.length < 2) return; // windows of one, and the last position
    const stream = createStream(seed, streamName("draft", factor), image, position);
    for (let entry = 1; entry < out.length; entry++) {
      const from = offset + entry * size;
      out[entry] =
        drafts.kind === "argmax"
          ? categorical.argmax(logits, from, where)
          : categorical.sample(logits, from, draftSampling(drafts, entry), stream.uniform(), where);
    }
  };
}

function withNumbersOfPositions({ factors, images, drafts, windowSize, parallel }: Drawing): DrawTensor {
  const sizes = factors.map(({ size }) => size);
  const words = positionWords(sizes, images.length * (parallel + windowSize));
  return ({ factor, row, position }, logits, offset, out) => {
    const { size, sampling, categorical } = factors[factor]!;
    const address = images[row]!;
    const where = placeOf(address.image, position);
    for (let entry = 0; entry < out.length; entry++) {
      const from = offset + entry * size;
      const options = entry === 0 ? sampling : draftSampling(drafts, entry);
      out[entry] =
        entry > 0 && drafts.kind === "argmax"
          ? categorical.argmax(logits, from, where)
          : categorical.race(logits, from, options, words(address, factor, position + entry), where);
    }
  };
}

/** Of argmax drafts it is the model's own, at temperature 1. */
export const probabilitiesOf =
  ({ factors, images, drafts }: Pick<Drawing, "factors" | "images" | "drafts">): MultiplyProbabilities =>
  ({ factor, row, position }, logits, offset, codes, out) => {
    const { size, sampling, categorical } = factors[factor]!;
    const where = placeOf(images[row]!.image, position);
    for (const [entry, code] of codes.entries()) {
      const options = entry === 0 ? sampling : draftSampling(drafts, entry);
      out[entry]! *= categorical.probability(logits, offset + entry * size, options, code, where);
    }
  };

const placeOf = (image: number, position: number): string => `image ${image}, token ${position}`;

const draftSampling = (drafts: DraftPolicy, entry: number): SamplingOptions => ({
  temperature: draftTemperatureOf(drafts, entry),
  topK: 0,
  topP: 1,
});
