import type { DeviceChoice } from "./engine/protocol";

/** How drafts are fed back. */
export const DRAFTS = ["raw", "renoise", "argmax", "noise", "blank"] as const;
/** Which random numbers codes are drawn with. */
export const DRAWS = ["position", "step"] as const;
const DEVICES = ["auto", "webgpu", "wasm"] as const satisfies readonly DeviceChoice[];
const COUNTS = [1, 16] as const;

/** All that an image depends on, and what it is shown beside. */
export interface Settings {
  /** Of the models that the page offers. */
  readonly model: string;
  /** Name or index; empty for the first one. */
  readonly class: string;
  readonly prompt: string;
  readonly seed: number;
  /** Of guidance; 1 is none. */
  readonly scale: number;
  readonly temperature: number;
  readonly drafts: (typeof DRAFTS)[number];
  /** λ: the share of the trust in own drafts that is taken back; undefined leaves it to the model. */
  readonly trust: number | undefined;
  readonly draws: (typeof DRAWS)[number];
  readonly count: (typeof COUNTS)[number];
  /** Whether the base model is shown beside it. */
  readonly base: boolean;
  readonly device: DeviceChoice;
}

export const DEFAULTS: Settings = {
  model: "emoji",
  class: "",
  prompt: "",
  seed: 0,
  scale: 2,
  temperature: 1,
  drafts: "raw",
  trust: undefined,
  draws: "position",
  count: 1,
  base: true,
  device: "auto",
};

export const MOST_SEED = 2 ** 32 - 1;
export const SCALE_RANGE = [1, 10] as const;
export const TEMPERATURE_RANGE = [0.1, 2] as const;

/** The setting as the fragment of an address, without `#`. */
export function toFragment(settings: Settings): string {
  const entries = Object.entries(settings).filter(([, value]) => value !== undefined && value !== "");
  return new URLSearchParams(entries.map(([name, value]) => [name, String(value)])).toString();
}

/** What a fragment says; what is missing or out of range in it is as by default. */
export function fromFragment(fragment: string): Settings {
  const given = new URLSearchParams(fragment.replace(/^#/, ""));
  const oneOf = <T extends string | number | boolean>(name: keyof Settings, values: readonly T[], otherwise: T): T =>
    values.find((value) => String(value) === given.get(name)) ?? otherwise;
  const between = <D>(name: keyof Settings, [least, most]: readonly [number, number], otherwise: D): number | D => {
    const value = Number(given.get(name) ?? Number.NaN);
    return value >= least && value <= most ? value : otherwise;
  };
  return {
    model: given.get("model") ?? DEFAULTS.model,
    class: given.get("class") ?? "",
    prompt: given.get("prompt") ?? "",
    seed: Math.floor(between("seed", [0, MOST_SEED], DEFAULTS.seed)),
    scale: between("scale", SCALE_RANGE, DEFAULTS.scale),
    temperature: between("temperature", TEMPERATURE_RANGE, DEFAULTS.temperature),
    drafts: oneOf("drafts", DRAFTS, DEFAULTS.drafts),
    trust: between("trust", [0, 1], undefined),
    draws: oneOf("draws", DRAWS, DEFAULTS.draws),
    count: oneOf("count", COUNTS, DEFAULTS.count),
    base: oneOf("base", [true, false], DEFAULTS.base),
    device: oneOf("device", DEVICES, DEFAULTS.device),
  };
}
