import { DRAFTS, DRAWS, type Settings } from "../settings";
import { change, refined, settings } from "../state/state";
import { Choice, Slider } from "./fields";

const DRAFT_NAMES: Readonly<Record<Settings["drafts"], string>> = {
  raw: "as sampled (the paper)",
  renoise: "noised as in training",
  argmax: "likeliest codes",
  noise: "random codes (no drafts)",
  blank: "blanks (no drafts)",
};

const DRAW_NAMES: Readonly<Record<Settings["draws"], string>> = {
  position: "the same for each token",
  step: "new at each step",
};

const DEVICE_NAMES: Readonly<Record<Settings["device"], string>> = {
  auto: "the fastest there is",
  webgpu: "WebGPU",
  wasm: "WebAssembly",
};

/** How drafts are made and used, and what it runs on. */
export function Refinement() {
  const { drafts, trust, draws, device } = settings.value;
  const description = refined.value;
  const kinds = DRAFTS.filter((kind) => kind !== "blank" || description?.blanks);
  const modelTrust = description?.evidence ? 1 : 0;
  return (
    <details class="refinement">
      <summary>Refinement</summary>
      <Choice
        id="drafts"
        label="Drafts are fed back"
        values={kinds.map((kind) => [kind, DRAFT_NAMES[kind]] as const)}
        value={kinds.includes(drafts) ? drafts : "raw"}
        onChange={(kind) => change({ drafts: kind })}
      />
      <Slider
        id="trust"
        label="Trust taken back (λ)"
        note="The share of the trust in a token's own drafts that is taken back when it becomes final."
        range={[0, 1]}
        by={0.05}
        value={trust ?? modelTrust}
        onChange={(value) => change({ trust: value })}
      />
      <Choice
        id="draws"
        label="Random numbers"
        note={
          draws === "position"
            ? "A draft changes only when the model's opinion does."
            : "Most drafts change, by chance alone."
        }
        values={DRAWS.map((each) => [each, DRAW_NAMES[each]] as const)}
        value={draws}
        onChange={(each) => change({ draws: each })}
      />
      <Choice
        id="device"
        label="Run on"
        values={(["auto", "webgpu", "wasm"] as const).map((each) => [each, DEVICE_NAMES[each]] as const)}
        value={device}
        onChange={(each) => change({ device: each })}
      />
    </details>
  );
}
