import { quote, TensorARError } from "@tensorar/core";

/** Classifier-free guidance: `unconditional + s · (conditional - unconditional)`, applied to all k rows of logits. */
export type Guidance =
  /** The same `s` at every step, 1 or more; 1 runs without the unconditional branch. */
  | { readonly kind: "constant"; readonly scale: number }
  /**
   * LlamaGen's `cfg_interval`: `s` up to and including decode step `interval` (the prefill is step -1 and always
   * guided), 1 afterwards. Source: LlamaGen `autoregressive/models/generate.py`.
   */
  | { readonly kind: "interval"; readonly scale: number; readonly interval: number }
  /**
   * RAR's ramp: `1 + (scale - 1) · (1 - cos(π (t/T)^power)) / 2`. Source: RAR `modeling/rar.py` (`generate`), where the
   * scale given is added to 1 in this way.
   */
  | { readonly kind: "power-cosine"; readonly scale: number; readonly power: number };

/** Without guidance, the default. */
export const UNGUIDED: Guidance = { kind: "constant", scale: 1 };

const KINDS: readonly Guidance["kind"][] = ["constant", "interval", "power-cosine"];

/** Whether any step mixes in unconditional logits. */
export const isGuided = ({ scale }: Guidance): boolean => scale > 1;

/**
 * Guidance scale of one step.
 * @param step 0 … T-1, the position that is being made final
 */
export function scaleAt(guidance: Guidance, step: number, tokens: number): number {
  if (guidance.kind === "constant") return guidance.scale;
  if (guidance.kind === "interval") return step - 1 > guidance.interval && guidance.interval >= 0 ? 1 : guidance.scale;
  const progress = (step / tokens) ** guidance.power;
  return 1 + ((guidance.scale - 1) * (1 - Math.cos(progress * Math.PI))) / 2;
}

/** @throws TensorARError when the kind is unknown or a number is out of range */
export function checkGuidance(guidance: Guidance): void {
  const kind: unknown = guidance?.kind;
  if (!KINDS.some((known) => known === kind))
    throw new TensorARError(`guidance kind ${quote(kind)} is unknown; use ${KINDS.map(quote).join(", ")}`);
  if (!(Number.isFinite(guidance.scale) && guidance.scale >= 1)) {
    throw new TensorARError(`guidance scale ${guidance.scale} is out of range; use 1 for none, or more`);
  }
  if (guidance.kind === "interval" && !Number.isInteger(guidance.interval)) {
    throw new TensorARError(`guidance interval ${guidance.interval} is no step; use an integer, -1 for all steps`);
  }
  if (guidance.kind === "power-cosine" && !(Number.isFinite(guidance.power) && guidance.power > 0)) {
    throw new TensorARError(`guidance power ${guidance.power} is out of range; use a positive number`);
  }
}

/**
 * Mixes a conditional range of logits with the unconditional one `twin` further on, in place.
 * @param scale 1 leaves the conditional ones
 */
export function mixGuided(logits: Float32Array, start: number, twin: number, length: number, scale: number): void {
  for (let i = start; i < start + length; i++) {
    const unconditional = logits[twin + i]!;
    logits[i] = unconditional + (logits[i]! - unconditional) * scale;
  }
}
