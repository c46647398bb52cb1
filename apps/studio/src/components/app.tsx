import { phase, problem } from "../state/state";
import { Controls } from "./controls";
import { DeviceNote } from "./device-note";
import { Downloads } from "./downloads";
import { DropTarget, FolderNote } from "./folder";
import { LoadingNote } from "./loading-note";
import { Stage } from "./stage";
import { Timeline } from "./timeline";
import { TokenPanel } from "./token-panel";

export function App() {
  return (
    <DropTarget>
      <header class="masthead">
        <div>
          <h1>TensorAR studio</h1>
          <p>
            An image model that writes tokens one at a time, and <strong>redrafts</strong> the next ones as it goes.
          </p>
        </div>
        <DeviceNote />
      </header>
      <main>
        <section class="setting" aria-label="Setting">
          <Controls />
        </section>
        <section class="result" aria-label="Result">
          {phase.value.kind !== "ready" && <LoadingNote phase={phase.value} />}
          {problem.value !== undefined && (
            <p class="problem" role="alert">
              {problem.value}
            </p>
          )}
          <Stage />
          <Timeline />
          <TokenPanel />
          <Downloads />
        </section>
        <section class="own" aria-label="Model of your own">
          <FolderNote />
        </section>
      </main>
      <footer>
        Everything runs in this browser; nothing is sent anywhere.{" "}
        <a href="https://github.com/tensorar/tensorar">Source</a> ·{" "}
        <a href="https://arxiv.org/abs/2505.16324">The paper</a>
      </footer>
    </DropTarget>
  );
}
