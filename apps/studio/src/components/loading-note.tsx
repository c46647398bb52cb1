import { reload } from "../state/loading";
import type { Phase } from "../state/state";

const inMB = (bytes: number): string => (bytes / 1e6).toFixed(1);

/** How loading goes on, or why it failed. */
export function LoadingNote({ phase }: { readonly phase: Phase }) {
  if (phase.kind === "failed")
    return (
      <div class="problem" role="alert">
        <p>{phase.message}</p>
        <button type="button" onClick={() => void reload()}>
          Try again
        </button>
      </div>
    );
  if (phase.kind !== "loading") return null;
  const { what, loaded, total, attempt } = phase;
  const isHere = total > 0 && loaded >= total;
  return (
    <div class="loading">
      <label for="loading">
        {isHere ? "Preparing" : "Loading"} {what}
        {attempt > 1 ? `, attempt ${attempt}: the last one broke off` : ""}
      </label>
      <progress id="loading" {...(total > 0 && !isHere && { value: loaded, max: total })} />
      {total > 0 && (
        <span class="figures">
          {inMB(loaded)} of {inMB(total)} MB
        </span>
      )}
    </div>
  );
}
