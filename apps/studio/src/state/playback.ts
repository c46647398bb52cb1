import { drawnSteps, generating, playing, step, totalSteps } from "./state";

/** How long all steps of an image are shown. */
const WHOLE_S = 6;
const LEAST_PER_S = 8;

let [frame, at, before] = [0, 0, 0];

const isStill = (): boolean => matchMedia("(prefers-reduced-motion: reduce)").matches;

/** Shows the steps one after the other, as soon as they are there. */
export function playFromStart(): void {
  step.value = 0;
  play();
}

/** Goes on from the step that is shown, or from the first after the last. */
export function play(): void {
  if (!generating.value && step.value >= totalSteps.value - 1) step.value = 0;
  at = step.value;
  before = performance.now();
  playing.value = true;
  cancelAnimationFrame(frame);
  frame = requestAnimationFrame(advance);
}

export function pause(): void {
  playing.value = false;
  cancelAnimationFrame(frame);
}

/** Shows one step and stays there. */
export function showStep(wanted: number): void {
  pause();
  step.value = Math.max(0, Math.min(wanted, lastDrawn()));
}

const lastDrawn = (): number => (Number.isFinite(drawnSteps.value) ? drawnSteps.value - 1 : -1);

function advance(now: number): void {
  const perSecond = Math.max(LEAST_PER_S, totalSteps.value / WHOLE_S);
  const last = lastDrawn();
  const newest = Math.max(0, last);
  at = isStill() ? newest : Math.min(at + ((now - before) / 1000) * perSecond, newest);
  before = now;
  step.value = Math.floor(at);
  const finished = last >= totalSteps.value - 1 ? step.value >= last : !generating.value && step.value >= last;
  if (finished) pause();
  else frame = requestAnimationFrame(advance);
}
