import { pause, play, showStep } from "../state/playback";
import { depth, drawnSteps, generating, playing, refined, runs, step, totalSteps } from "../state/state";

/** Scrubs through steps, and through depths of refinement. */
export function Timeline() {
  const run = runs.refined.value;
  const windowSize = run?.description.windowSize ?? refined.value?.windowSize ?? 1;
  const isEmpty = !Number.isFinite(drawnSteps.value) || drawnSteps.value === 0;
  const last = Math.max(0, totalSteps.value - 1);
  return (
    <div class="timeline">
      <button
        type="button"
        class="play"
        disabled={isEmpty && !generating.value}
        onClick={() => (playing.value ? pause() : play())}
      >
        {playing.value ? "Pause" : "Play"}
      </button>
      <div class="scrub">
        <label for="step">Step</label>
        <input
          id="step"
          type="range"
          min={0}
          max={last}
          value={step.value}
          disabled={isEmpty}
          aria-valuetext={`${step.value + 1} of ${last + 1}`}
          onInput={({ currentTarget }) => showStep(Number(currentTarget.value))}
        />
        <output for="step">{isEmpty ? "–" : `${step.value + 1} of ${last + 1}`}</output>
      </div>
      {windowSize > 1 && <Depth windowSize={windowSize} isEmpty={isEmpty} />}
    </div>
  );
}

/** @returns what drafts of a depth are called */
export function depthName(depth: number, windowSize: number): string {
  if (depth === windowSize - 1) return "final";
  return depth === 0 ? "first draft" : `draft ${depth + 1}`;
}

function Depth({ windowSize, isEmpty }: { readonly windowSize: number; readonly isEmpty: boolean }) {
  const shown = depth.value ?? windowSize - 1;
  return (
    <div class="scrub">
      <label for="depth">Depth</label>
      <input
        id="depth"
        type="range"
        min={0}
        max={windowSize - 1}
        value={shown}
        disabled={isEmpty}
        aria-valuetext={depthName(shown, windowSize)}
        onInput={({ currentTarget }) => {
          const wanted = Number(currentTarget.value);
          depth.value = wanted === windowSize - 1 ? undefined : wanted;
        }}
      />
      <output for="depth">{depthName(shown, windowSize)}</output>
    </div>
  );
}
