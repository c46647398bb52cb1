import { change, refined, settings } from "../state/state";
import { Choice, Field } from "./fields";

/** The class or the prompt, whichever the model takes. */
export function Subject() {
  const description = refined.value;
  if (!description) return <Choice id="class" label="Class" values={[]} value="" onChange={() => {}} />;
  const { conditions, classes } = description;
  if (conditions.kind === "caption")
    return <p class="note">This model takes features of a text encoder, which this page can't make.</p>;
  if (conditions.kind === "prompt")
    return (
      <Field id="prompt" label="Prompt">
        <input
          id="prompt"
          type="text"
          placeholder="a noto red heart"
          value={settings.value.prompt}
          onInput={({ currentTarget }) => change({ prompt: currentTarget.value })}
        />
      </Field>
    );
  if (classes.length === 0)
    return (
      <Field id="class" label={`Class, 0 … ${conditions.count - 1}`}>
        <input
          id="class"
          type="number"
          min={0}
          max={conditions.count - 1}
          required
          value={settings.value.class === "" ? "0" : settings.value.class}
          onChange={({ currentTarget }) => {
            if (currentTarget.checkValidity()) change({ class: currentTarget.value });
          }}
        />
      </Field>
    );
  return (
    <Choice
      id="class"
      label="Class"
      values={classes.map((name) => [name, name.replace("/", " · ").replaceAll("-", " ")] as const)}
      value={classes.includes(settings.value.class) ? settings.value.class : classes[0]!}
      onChange={(name) => change({ class: name })}
    />
  );
}
