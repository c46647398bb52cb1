import type { Picture } from "../engine/protocol";
import { draftsOf, type Run } from "../run";
import { lookedAt, tokenPictures } from "../state/pictures";
import { image, runs, step, token } from "../state/state";
import { PictureCanvas } from "./picture";
import { depthName } from "./timeline";

/** What is shown of a picture around a token, in cells on each side. */
const AROUND = 1;

/** The drafts of the token that is looked at, with their probabilities. */
export function TokenPanel() {
  const run = runs.refined.value;
  if (!run || run.steps.length === 0) return null;
  const position = lookedAt();
  const { grid, windowSize } = run.description;
  const drafts = draftsOf(run, image.value, position, step.value);
  const [row, column] = [Math.floor(position / grid[1]), position % grid[1]];
  const pictures = tokenPictures.value?.pictures;
  return (
    <section class="token" aria-label="Drafts of one token">
      <h2>
        Token {position + 1}
        <span class="window">
          row {row + 1}, column {column + 1}
          {token.value === undefined ? ", the last that became final" : ""}
        </span>
      </h2>
      {drafts.length === 0 && <p class="note">It has no draft yet.</p>}
      <ol>
        {drafts.map(({ depth, code, probability }, i) => {
          const isChange = i > 0 && drafts[i - 1]!.code !== code;
          return (
            <li key={depth} class={isChange ? "changed" : ""}>
              <PictureCanvas picture={pictures?.[i]} crop={cropOf(run, pictures?.[i], row, column)} />
              <span class="depth">{depthName(depth, windowSize)}</span>
              <span class="code">code {code}</span>
              <span class="bar" aria-hidden="true">
                <span style={{ width: `${100 * probability}%` }} />
              </span>
              <span class="probability">{(100 * probability).toFixed(1)} %</span>
              <span class="mark">{isChange ? "changed" : ""}</span>
            </li>
          );
        })}
      </ol>
    </section>
  );
}

/** The cell and those around it. */
function cropOf(
  { description: { grid } }: Run,
  picture: Picture | undefined,
  row: number,
  column: number,
): [number, number, number, number] {
  const { width = grid[1], height = grid[0] } = picture ?? {};
  const [w, h] = [width / grid[1], height / grid[0]];
  const cells = 2 * AROUND + 1;
  const x = Math.max(0, Math.min(width - cells * w, (column - AROUND) * w));
  const y = Math.max(0, Math.min(height - cells * h, (row - AROUND) * h));
  return [x, y, cells * w, cells * h];
}
