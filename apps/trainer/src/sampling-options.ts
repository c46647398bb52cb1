import { TensorARError } from "@tensorar/core";
import { evidenceIn, type LoadedModel } from "@tensorar/model";
import type { DraftPolicy, Guidance, LeaveOneOut, PerFactor } from "@tensorar/sampler";
import type { Settings } from "./declarations/sample";
import type { SamplingOptions } from "./sampling";

/**
 * The settings of `tensorar sample` as the sampler takes them.
 * @throws TensorARError naming a flag that does not fit another one, or the model
 */
export function samplingOf(settings: Settings, model: LoadedModel): SamplingOptions {
  const { temperature, topK, topP, draws } = settings;
  expectValues(settings, model);
  return {
    temperature,
    topK,
    topP,
    draws,
    leaveOneOut: leaveOneOutOf(settings, model),
    guidance: guidanceOf(settings, subTokens(model)),
    drafts: draftPolicy(settings, model),
    parallel: settings.decoding === "jacobi" ? settings.parallel : 1,
  };
}

function leaveOneOutOf({ leaveOneOut: strength }: Settings, model: LoadedModel): LeaveOneOut | undefined {
  const evidence = evidenceIn(model.tensors);
  if (strength === undefined || (strength === 0 && !evidence)) return undefined;
  const { windowSize, backbone } = model.model;
  const refuse = (why: string) => new TensorARError(`--leave-one-out ${strength}: ${why}; leave it out`);
  if (windowSize === 1) throw refuse("the model has no drafts");
  if (backbone.factors) throw refuse("tokens of the model consist of sub-tokens");
  return { strength, rates: model.noiseRates, evidence };
}

/** Sub-tokens of a token; 1 where it is whole. */
const subTokens = ({ model }: LoadedModel): number => model.backbone.factors?.sizes.length ?? 1;

/** Scales that images have in turn. Several are those of the sub-tokens, where tokens consist of some. */
export function scalesInTurn({ cfgScale }: Settings, model: LoadedModel): readonly number[] {
  if (!Array.isArray(cfgScale)) return [cfgScale];
  return subTokens(model) === 1 ? cfgScale : [cfgScale[0]!];
}

/** One value for each sub-token, where there are several. */
function expectValues({ model: dir, ...settings }: Settings, model: LoadedModel): void {
  const sizes = subTokens(model);
  const flags = {
    "--cfg-scale": sizes === 1 ? undefined : settings.cfgScale,
    "--temperature": settings.temperature,
    "--top-k": settings.topK,
    "--top-p": settings.topP,
  };
  for (const [flag, value] of Object.entries(flags)) {
    if (!Array.isArray(value) || value.length === sizes) continue;
    const remedy = sizes === 1 ? "give one" : `give one, or ${sizes}`;
    throw new TensorARError(
      `${flag} ${value.join(",")}: ${value.length} values, but a token of ${dir} consists of ${sizes}; ${remedy}`,
    );
  }
}

function guidanceOf({ cfgScale, ...settings }: Settings, sizes: number): PerFactor<Guidance> {
  const scales = Array.isArray(cfgScale) ? cfgScale : [cfgScale];
  if (sizes === 1 || scales.length === 1) return guidanceAt(settings, scales[0]!);
  return scales.map((each) => guidanceAt(settings, each));
}

function guidanceAt({ guidance, interval, power }: Omit<Settings, "cfgScale">, scale: number): Guidance {
  if (guidance === "constant") return { kind: guidance, scale };
  if (guidance === "interval") {
    if (interval === undefined)
      throw new TensorARError("--guidance interval needs --interval, the last decode step that is guided");
    return { kind: guidance, scale, interval };
  }
  if (power === undefined) throw new TensorARError("--guidance power-cosine needs --power");
  return { kind: guidance, scale, power };
}

/** Draft policy by its name on the command line; β(j) comes from the model's own training, unless it is given. */
function draftPolicy(settings: Settings, model: LoadedModel): DraftPolicy {
  const { drafts: kind, draftTemperature: temperature, draftRates } = settings;
  if (kind === "blank" && !model.model.blanks)
    throw new TensorARError("--drafts blank: the model was trained without blanks; use another policy");
  if (kind === "argmax" || kind === "noise" || kind === "blank") return { kind };
  const drafted = model.model.windowSize - 1;
  if (Array.isArray(temperature)) expectDepths("--draft-temperature", temperature, drafted, "one, or ");
  if (kind === "raw") return { kind, temperature };
  if (!draftRates) return { kind, rates: model.noiseRates, temperature };
  expectDepths("--draft-rates", draftRates, drafted);
  return { kind, rates: [0, ...draftRates], temperature };
}

/** One value for each depth at which the model drafts. */
function expectDepths(flag: string, values: readonly number[], drafted: number, or = ""): void {
  if (values.length === drafted) return;
  const given = `${flag} ${values.join(",")}: ${values.length} values`;
  throw new TensorARError(`${given}, but the model drafts ${drafted} tokens a step; give ${or}${drafted}`);
}
