import type { Run } from "../run";
import { codesAt, flipAge, NONE, stateOf } from "../run";
import { depth, image, playing, step, token } from "../state/state";

/** Steps for which a flip stays marked. */
const MARKED = 5;

const MOVES: Readonly<Record<string, readonly [number, number]>> = {
  ArrowLeft: [0, -1],
  ArrowRight: [0, 1],
  ArrowUp: [-1, 0],
  ArrowDown: [1, 0],
};

/** The tokens over a picture: what is final, what is a draft, and what has just changed. */
export function TokenGrid({ run, name }: { readonly run: Run; readonly name: string }) {
  const { grid, windowSize } = run.description;
  const [rows, columns] = grid;
  const codes = codesAt(run, image.value, step.value, depth.value ?? windowSize - 1);
  const focused = token.value ?? 0;
  return (
    <table
      class="tokens"
      // biome-ignore lint/a11y/noNoninteractiveElementToInteractiveRole: the table is a grid, whose cells take the focus
      role="grid"
      aria-label={`Tokens of ${name}`}
      onKeyDown={(event) => move(event, grid)}
      onPointerLeave={() => {
        token.value = undefined;
      }}
    >
      <tbody>
        {Array.from({ length: rows }, (_, row) => (
          <tr key={row} style={{ height: `${100 / rows}%` }}>
            {Array.from({ length: columns }, (_, column) => {
              const position = row * columns + column;
              const code = codes[position]!;
              return (
                <Cell key={position} run={run} position={position} code={code} isFocusable={position === focused} />
              );
            })}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Cell({
  run,
  position,
  code,
  isFocusable,
}: {
  readonly run: Run;
  readonly position: number;
  readonly code: number;
  readonly isFocusable: boolean;
}) {
  const state = stateOf(run, position, step.value);
  const isDone = step.value === run.description.tokens - 1 && !playing.value;
  const age = isDone ? undefined : flipAge(run, image.value, position, step.value, MARKED);
  const isLast = position === step.value && !isDone;
  const classes = ["cell", state, age !== undefined && "flipped", isLast && "last"].filter(Boolean).join(" ");
  return (
    <td
      class={classes}
      tabIndex={isFocusable ? 0 : -1}
      data-position={position}
      aria-label={`Token ${position + 1}: ${code === NONE ? "none yet" : `${state}, code ${code}`}`}
      {...(age !== undefined && { style: { "--age": age / MARKED } })}
      onPointerEnter={() => {
        token.value = position;
      }}
      onFocus={() => {
        token.value = position;
      }}
    />
  );
}

function move(
  event: KeyboardEvent & { readonly currentTarget: HTMLElement },
  [rows, columns]: readonly [number, number],
) {
  const by = MOVES[event.key];
  if (!by) return;
  event.preventDefault();
  const position = token.value ?? 0;
  const row = Math.max(0, Math.min(rows - 1, Math.floor(position / columns) + by[0]));
  const column = Math.max(0, Math.min(columns - 1, (position % columns) + by[1]));
  token.value = row * columns + column;
  event.currentTarget.querySelector<HTMLElement>(`[data-position="${token.value}"]`)?.focus();
}
