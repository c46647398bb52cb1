import { signal } from "@preact/signals";
import { saveAnimation, savePng, saveTrace, saving } from "../state/downloads";
import { problem, runs } from "../state/state";

const copied = signal(false);

async function copyAddress(): Promise<void> {
  try {
    await navigator.clipboard.writeText(location.href);
    copied.value = true;
    setTimeout(() => {
      copied.value = false;
    }, 2000);
  } catch (error) {
    problem.value = `the address can't be copied: ${(error as Error).message}`;
  }
}

/** What can be taken away. */
export function Downloads() {
  const isEmpty = (runs.refined.value?.steps.length ?? 0) === 0;
  const isBusy = saving.value !== undefined;
  return (
    <div class="downloads">
      <button type="button" disabled={isEmpty || isBusy} onClick={() => void savePng()}>
        Image (PNG)
      </button>
      <button type="button" disabled={isEmpty || isBusy} onClick={() => void saveAnimation()}>
        Animation (GIF)
      </button>
      <button type="button" disabled={isEmpty || isBusy} onClick={() => void saveTrace()}>
        Trace (JSON)
      </button>
      <button type="button" onClick={() => void copyAddress()}>
        Copy the address of this setting
      </button>
      <output>{saving.value ?? (copied.value ? "Copied" : "")}</output>
    </div>
  );
}
