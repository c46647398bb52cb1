import { TensorARError } from "@tensorar/core";
import { type Condition, type TensorARModel, toParams } from "@tensorar/model";
import { type ModelFolder, modelOf } from "@tensorar/model/node";
import { type ComposedModel, composeLoop, type TensorSpec, type TraceOptions, trace } from "@tensorar/onnx";
import { createTokenizer, type TokenizerKind } from "@tensorar/tokenizer";
import type { TokenizerFolder } from "@tensorar/tokenizer/node";
import * as tf from "@tensorflow/tfjs-core";
import { conditionInputs, mapParts, withoutUnusedInputs } from "./functions";
import {
  type BodyInputs,
  type FirstInputs,
  firstState,
  nextState,
  type Slots,
  settled,
  type WholeOptions,
} from "./generation-steps";
import type { SourceSizes } from "./sources";
import { unconditionalOf } from "./unconditional";

// B images · T tokens · k window · F sub-tokens of a token · V codes · H heads · Dh head width · D width
// L slots of a step, C of the condition at first, then 1

/** @throws TensorARError when a list has not one value for each sub-token */
export function checkWhole(options: WholeOptions, { factors = [0] }: Pick<SourceSizes, "factors">): void {
  for (const name of ["topK", "topP"] as const) {
    const value = options[name];
    if (typeof value === "number" || value.length === factors.length) continue;
    throw new TensorARError(
      `${value.length} values of ${name} for ${factors.length} sub-tokens; give one, or one for each`,
    );
  }
}

const ROWS = "2*batch";

/**
 * All of generation as one graph: the loop over tokens, guidance, filters, random numbers, drafts and the image decoder. Inputs:
 * the model's `condition`, `seed` and `index` int32 [B] (image `index` of the run of a seed), `scale` and
 * `temperature` float32 [B], or [B, F] with F sub-tokens. Outputs: `codes` int32 [B, T] and `images` float32 [B, height,
 * width, 3]. Codes are those of `generate` of `@tensorar/sampler` with these settings, up to float32.
 *
 * The first step runs the condition's slots, every other one the slot of the tensor before it, with the same nodes and weights.
 * The cache grows, so a step reads only what is filled; its first slot is a dummy that the mask hides. A loop copies its state at
 * every step: for ONNX Runtime's own providers, that holds the recent slots only, which join the others after every √T steps,
 * when least is copied in all. A loop inside of a loop is nothing that every runtime takes, so for others it holds all.
 *
 * @throws TensorARError for models that can't be guided
 */
export function wholeGeneration(
  folder: ModelFolder,
  tokenizerFolder: TokenizerFolder<TokenizerKind>,
  sizes: SourceSizes,
  options: WholeOptions,
  form: Pick<TraceOptions, "fuse" | "quantize">,
): ComposedModel {
  const model = modelOf(folder) as unknown as TensorARModel<Condition>;
  const { tokens: T } = model.backbone;
  const rates = replacementRates(options, model.windowSize, folder);
  const params = toParams(folder.tensors);
  const pixels = toParams(tokenizerFolder.tensors);
  const tokenizer = createTokenizer(tokenizerFolder);
  const unconditional = unconditionalOf(folder);
  const settles = form.fuse !== undefined;
  const specs = loopSpecs(model, sizes, rates, settles);
  const ofModel = { weights: params, ...form };
  const before = (inputs: FirstInputs) => firstState(model, params, { unconditional, rates, settles }, inputs);
  const body = (inputs: BodyInputs) => ({ state: nextState(model, params, options, rates, inputs) });
  const settle = ({ ended, held }: { ended: Slots; held: Slots }) => settled(ended, held);
  const after = ({ final: { codes } }: { final: { codes: tf.Tensor } }) => ({
    codes: tf.mul(codes, tf.scalar(1, "int32")),
    images: tokenizer.decode(pixels, codes as tf.Tensor2D, sizes.grid),
  });
  try {
    return composeLoop("generation", {
      before: trace(before as never, specs.before as never, ofModel),
      body: withoutUnusedInputs(trace(body as never, specs.body as never, ofModel), "fixed/"),
      after: trace(after as never, { final: { codes: specs.body.state.codes } } as never, {
        weights: { "image-decoder": pixels },
        ...(form.fuse && { fuse: form.fuse }),
      }),
      trips: T,
      ...(settles && {
        settle: {
          ...{ every: Math.ceil(Math.sqrt(T)), ownWeights: form.fuse === "cpu" },
          part: trace(settle as never, specs.settle as never, form),
        },
      }),
    });
  } finally {
    tf.dispose([params, pixels]);
  }
}

/** With which probabilities β(0) … β(k-1) drafts are replaced by noise; undefined: none is. */
function replacementRates(
  { drafts = { kind: "raw" } }: WholeOptions,
  windowSize: number,
  { noiseRates }: ModelFolder,
): readonly number[] | undefined {
  if (windowSize === 1) return undefined;
  if (drafts.kind === "noise") return new Array<number>(windowSize).fill(1);
  return drafts.kind === "renoise" ? noiseRates : undefined;
}

/** What the parts of the loop take. */
function loopSpecs(
  { backbone, windowSize: k }: TensorARModel<Condition>,
  sizes: SourceSizes,
  rates: readonly number[] | undefined,
  settles: boolean,
) {
  const { tokens: T, width, conditionSlots, factors } = backbone;
  const { layers, heads: H, headDim: Dh } = backbone.cache;
  const int = (...shape: (number | string)[]): TensorSpec => ({ dtype: "int32", shape });
  const float = (...shape: (number | string)[]): TensorSpec => ({ dtype: "float32", shape });
  const each = (spec: TensorSpec): TensorSpec[] => Array.from({ length: layers }, () => spec);
  const L = conditionSlots === 1 ? 1 : "new"; // the usual case needs no free dimension
  const padded = backbone.conditionMask !== undefined;
  const condition = conditionInputs(sizes);
  const slots = (rows: string, count: string) => ({
    mask: float(padded ? rows : 1, count),
    keys: each(float(rows, H, count, Dh)),
    values: each(float(rows, H, count, Dh)),
  });
  const F = factors?.sizes.length ?? 1;
  const perFactor = factors ? [F] : [];
  const rows = mapParts(condition, ({ dtype, shape: [, ...rest] }: TensorSpec) => ({ dtype, shape: [ROWS, ...rest] }));
  return {
    before: { condition, seed: int("batch"), index: int("batch") },
    body: {
      state: {
        codes: int("batch", T),
        x: float(ROWS, L, width),
        positions: int(L),
        ...(padded && { own: float(ROWS, L) }),
        ...slots(ROWS, "recent"),
      },
      ...(settles && { held: slots(ROWS, "held") }),
      fixed: {
        uniforms: float("batch", T, F * k),
        ...(rates && { noise: { chances: float("batch", T, k - 1), codes: int("batch", T, k - 1) } }),
        ...(conditionSlots !== undefined && { condition: rows }),
      },
      step: int(1),
      scale: float("batch", ...perFactor),
      temperature: float("batch", ...perFactor),
    },
    settle: { held: slots("rows", "held"), ended: slots("rows", "recent") },
  };
}
