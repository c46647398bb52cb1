import type { Description } from "@tensorar/pipeline";
import type { Role } from "../engine/protocol";
import { changedTokens } from "../run";
import { gallery, largePicture } from "../state/pictures";
import { descriptions, image, runs, shownRoles, step } from "../state/state";
import { PictureCanvas } from "./picture";
import { TokenGrid } from "./token-grid";

const NAMES: Readonly<Record<Role, string>> = { refined: "TensorAR", base: "Base model" };

/** The images on their way, beside each other. */
export function Stage() {
  return (
    <>
      <div class="stage">
        {shownRoles.value.map((role) => (
          <Model key={role} role={role} />
        ))}
      </div>
      <ul class="legend" aria-label="Marks">
        <li class="draft">
          <i /> draft, may still change
        </li>
        <li class="flipped">
          <i /> has just changed
        </li>
        <li class="last">
          <i /> has just become final
        </li>
      </ul>
    </>
  );
}

function Model({ role }: { readonly role: Role }) {
  const run = runs[role].value;
  const shown = largePicture(role).value;
  const description = run?.description ?? descriptions.value[role];
  const name = NAMES[role];
  return (
    <article class="model" data-role={role}>
      <h2>
        {name} <WindowSize description={description} />
      </h2>
      <div class={shown ? "picture" : "picture undecoded"}>
        <PictureCanvas
          picture={shown?.pictures[0]}
          label={run ? `Image of ${name}, step ${step.value + 1}` : "No image yet"}
        />
        {run && run.steps.length > 0 && <TokenGrid run={run} name={name} />}
        {!run && description && <p class="hint">Press Generate to watch it draw.</p>}
      </div>
      <p class="figures">{run && run.steps.length > 0 ? <Changes role={role} /> : " "}</p>
      {run?.notes.map((note) => (
        <p key={note} class="note">
          {note}
        </p>
      ))}
      {run && run.images > 1 && <Gallery role={role} count={run.images} />}
    </article>
  );
}

function WindowSize({ description }: { readonly description: Description | undefined }) {
  if (!description) return null;
  const { windowSize } = description;
  return <span class="window">{windowSize === 1 ? "one token a step" : `window k = ${windowSize}`}</span>;
}

function Changes({ role }: { readonly role: Role }) {
  const run = runs[role].value;
  if (!run) return null;
  if (run.description.windowSize === 1) return <>Each token is final at once.</>;
  const { of, changed } = changedTokens(run, image.value, step.value);
  if (of === 0) return null;
  return (
    <>
      {changed} of {of} tokens differ from their first draft
    </>
  );
}

function Gallery({ role, count }: { readonly role: Role; readonly count: number }) {
  const pictures = gallery(role).value?.pictures;
  const description = runs[role].value?.description;
  const blank = description && { grid: description.grid, from: step.value + description.windowSize };
  return (
    <fieldset class="gallery">
      <legend>All {count} images</legend>
      {Array.from({ length: count }, (_, i) => (
        <button
          key={i}
          type="button"
          aria-pressed={image.value === i}
          aria-label={`Image ${i + 1}`}
          onClick={() => {
            image.value = i;
          }}
        >
          <PictureCanvas picture={pictures?.[i]} blank={blank} />
        </button>
      ))}
    </fieldset>
  );
}
