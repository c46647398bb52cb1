import type { ComponentChildren } from "preact";

/** A labelled control; what it means under it. */
export function Field({
  id,
  label,
  note,
  children,
}: {
  readonly id: string;
  readonly label: string;
  readonly note?: string | undefined;
  readonly children: ComponentChildren;
}) {
  return (
    <div class="field">
      <label for={id}>{label}</label>
      {children}
      {note !== undefined && (
        <p class="note" id={`${id}-note`}>
          {note}
        </p>
      )}
    </div>
  );
}

/** A number in a range, shown beside its slider. */
export function Slider({
  id,
  label,
  note,
  range: [min, max],
  by,
  value,
  disabled = false,
  onChange,
}: {
  readonly id: string;
  readonly label: string;
  readonly note?: string | undefined;
  readonly range: readonly [number, number];
  readonly by: number;
  readonly value: number;
  readonly disabled?: boolean;
  readonly onChange: (value: number) => void;
}) {
  return (
    <Field id={id} label={label} note={note}>
      <div class="slider">
        <input
          id={id}
          type="range"
          min={min}
          max={max}
          step={by}
          value={value}
          disabled={disabled}
          {...(note !== undefined && { "aria-describedby": `${id}-note` })}
          onInput={({ currentTarget }) => onChange(Number(currentTarget.value))}
        />
        <output for={id}>{value.toFixed(by < 0.1 ? 2 : 1)}</output>
      </div>
    </Field>
  );
}

/** One of several values. */
export function Choice<T extends string>({
  id,
  label,
  note,
  values,
  value,
  onChange,
}: {
  readonly id: string;
  readonly label: string;
  readonly note?: string | undefined;
  readonly values: readonly (readonly [T, string])[];
  readonly value: T;
  readonly onChange: (value: T) => void;
}) {
  return (
    <Field id={id} label={label} note={note}>
      <select
        id={id}
        value={value}
        {...(note !== undefined && { "aria-describedby": `${id}-note` })}
        onChange={({ currentTarget }) => {
          const chosen = values[currentTarget.selectedIndex];
          if (chosen) onChange(chosen[0]);
        }}
      >
        {values.map(([each, name]) => (
          <option key={each} value={each} selected={each === value}>
            {name}
          </option>
        ))}
      </select>
    </Field>
  );
}

/** Something that is so or not. */
export function Check({
  id,
  label,
  value,
  disabled = false,
  onChange,
}: {
  readonly id: string;
  readonly label: string;
  readonly value: boolean;
  readonly disabled?: boolean;
  readonly onChange: (value: boolean) => void;
}) {
  return (
    <div class="check">
      <input
        id={id}
        type="checkbox"
        checked={value}
        disabled={disabled}
        onChange={({ currentTarget }) => onChange(currentTarget.checked)}
      />
      <label for={id}>{label}</label>
    </div>
  );
}
