import { TensorARError } from "@tensorar/core";
import type { LoadedModel } from "@tensorar/model";
import type { DraftPolicy, Guidance, PerFactor } from "@tensorar/sampler";
import type { Settings } from "./declarations/sample";
import type { AheadOptions, SamplingOptions } from "./sampling";

/** How codes are drawn: in batches with drafts as inputs, or one by one with drafts as proposals. */
export type Sampling =
  | { readonly kind: "batches"; readonly options: SamplingOptions; readonly batchSize: number }
  | { readonly kind: "ahead"; readonly options: AheadOptions };

const BATCH_SIZE = 64;

/**
 * The settings of `tensorar sample` as the sampler takes them.
 * @throws TensorARError naming a flag that does not fit another one, or the model
 */
export function samplingOf(settings: Settings, model: LoadedModel): Sampling {
  const { seed, temperature, topK, topP, batchSize, lookahead } = settings;
  expectValues(settings, model);
  const guidance = guidanceOf(settings);
  const drafts = draftPolicy(settings.drafts, settings.draftTemperature, model.noiseRates);
  if (lookahead === undefined) {
    const options = { seed, temperature, topK, topP, guidance, drafts };
    return { kind: "batches", options, batchSize: batchSize ?? BATCH_SIZE };
  }
  expectAhead(settings, lookahead, model);
  return {
    kind: "ahead",
    options: {
      seed,
      lookahead,
      draftTemperature: settings.draftTemperature,
      temperature: one(temperature),
      topK: one(topK),
      topP: one(topP),
      guidance: one(guidance),
    },
  };
}

/** The value of a token that has no sub-tokens. */
const one = <V>(value: PerFactor<V>): V => (Array.isArray(value) ? value[0] : value) as V;

/** One value for each sub-token, where there are several. */
function expectValues({ model: dir, ...settings }: Settings, model: LoadedModel): void {
  const sizes = model.model.backbone.factors?.sizes.length ?? 1;
  const flags = { "--scale": settings.scale, "--temperature": settings.temperature } as const;
  for (const [flag, value] of Object.entries({ ...flags, "--top-k": settings.topK, "--top-p": settings.topP })) {
    if (!Array.isArray(value) || value.length === sizes) continue;
    const remedy = sizes === 1 ? "give one" : `give one, or ${sizes}`;
    throw new TensorARError(
      `${flag} ${value.join(",")}: ${value.length} values, but a token of ${dir} consists of ${sizes}; ${remedy}`,
    );
  }
}

function expectAhead({ drafts, batchSize, model: dir }: Settings, lookahead: number, model: LoadedModel): void {
  const { factors } = model.model.backbone;
  const { windowSize } = model.tensorar;
  if (drafts !== "raw")
    throw new TensorARError(
      `--drafts ${drafts} does not go with --lookahead, where drafts are proposals and never inputs; leave it out`,
    );
  if (batchSize !== undefined && batchSize !== 1)
    throw new TensorARError(`--batch-size ${batchSize} does not go with --lookahead, which makes images one by one`);
  if (factors && factors.sizes.length > 1)
    throw new TensorARError(`--lookahead ${lookahead}: tokens of ${dir} consist of sub-tokens; leave it out`);
  if (lookahead > windowSize)
    throw new TensorARError(
      `--lookahead ${lookahead}: ${dir} predicts ${windowSize} ${windowSize === 1 ? "token; use a model with TensorAR" : `tokens a step; use 2 … ${windowSize}`}`,
    );
}

function only(value: number | undefined, flag: string, belongsTo: string): void {
  if (value !== undefined) throw new TensorARError(`${flag} ${value} belongs to ${belongsTo}; leave it out`);
}

function guidanceOf({ scale, ...settings }: Settings): PerFactor<Guidance> {
  return Array.isArray(scale) ? scale.map((each) => guidanceAt(settings, each)) : guidanceAt(settings, scale);
}

function guidanceAt({ guidance, interval, power }: Omit<Settings, "scale">, scale: number): Guidance {
  if (guidance !== "interval") only(interval, "--interval", "--guidance interval");
  if (guidance !== "power-cosine") only(power, "--power", "--guidance power-cosine");
  if (guidance === "constant") return { kind: guidance, scale };
  if (guidance === "interval") {
    if (interval === undefined)
      throw new TensorARError("--guidance interval needs --interval, the last decode step that is guided");
    return { kind: guidance, scale, interval };
  }
  if (power === undefined) throw new TensorARError("--guidance power-cosine needs --power");
  return { kind: guidance, scale, power };
}

/** Draft policy by its name on the command line; β(j) comes from the model's own training. */
function draftPolicy(
  drafts: Settings["drafts"],
  temperature: number | undefined,
  noiseRates: readonly number[],
): DraftPolicy {
  if (drafts === "argmax" || drafts === "noise") {
    only(temperature, "--draft-temperature", "--drafts raw or renoise");
    return { kind: drafts };
  }
  return drafts === "renoise"
    ? { kind: drafts, rates: noiseRates, temperature: temperature ?? 1 }
    : { kind: drafts, temperature: temperature ?? 1 };
}
