import { MOST_SEED, SCALE_RANGE, TEMPERATURE_RANGE } from "../settings";
import { startGenerating, stopGenerating } from "../state/generating";
import { canCompare, change, generating, models, ownFolder, phase, refined, settings } from "../state/state";
import { Check, Choice, Field, Slider } from "./fields";
import { Refinement } from "./refinement";
import { Subject } from "./subject";

/** What to generate, and how. */
export function Controls() {
  const { model, seed, scale, temperature, count, base } = settings.value;
  const conditions = refined.value?.conditions;
  const hasGuidance = conditions === undefined || conditions.kind !== "class" || conditions.none >= 0;
  return (
    <form
      class="controls"
      onSubmit={(event) => {
        event.preventDefault();
        void startGenerating();
        document.querySelector(".stage")?.scrollIntoView({ block: "nearest" }); // below the form on narrow screens
      }}
    >
      {ownFolder.value === undefined && (
        <Choice
          id="model"
          label="Model"
          values={models.value.map(({ id, name }) => [id, name] as const)}
          value={model}
          onChange={(id) => change({ model: id, class: "", trust: undefined })}
        />
      )}
      <Subject />
      <Field id="seed" label="Seed">
        <div class="seed">
          <input
            id="seed"
            type="number"
            min={0}
            max={MOST_SEED}
            step={1}
            required
            value={seed}
            onChange={({ currentTarget }) => {
              if (currentTarget.checkValidity()) change({ seed: currentTarget.valueAsNumber });
            }}
          />
          <button type="button" onClick={() => change({ seed: Math.floor(Math.random() * 10_000) })}>
            Another
          </button>
        </div>
      </Field>
      <Slider
        id="scale"
        label="Guidance scale"
        note={hasGuidance ? undefined : "This model was trained without guidance."}
        range={SCALE_RANGE}
        by={0.1}
        value={hasGuidance ? scale : 1}
        disabled={!hasGuidance}
        onChange={(value) => change({ scale: value })}
      />
      <Slider
        id="temperature"
        label="Temperature"
        range={TEMPERATURE_RANGE}
        by={0.1}
        value={temperature}
        onChange={(value) => change({ temperature: value })}
      />
      <Refinement />
      <Check
        id="base"
        label="Base model beside it"
        value={base && canCompare.value}
        disabled={!canCompare.value}
        onChange={(value) => change({ base: value })}
      />
      <Check
        id="count"
        label="Gallery of 16"
        value={count === 16}
        onChange={(value) => change({ count: value ? 16 : 1 })}
      />
      <div class="actions">
        <button type="submit" class="primary" disabled={phase.value.kind !== "ready"}>
          {generating.value ? "Start again" : "Generate"}
        </button>
        <button type="button" disabled={!generating.value} onClick={stopGenerating}>
          Stop
        </button>
      </div>
    </form>
  );
}
