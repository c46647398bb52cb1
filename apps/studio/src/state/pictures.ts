import { effect, type ReadonlySignal, type Signal, signal } from "@preact/signals";
import { EngineError } from "../engine/client";
import type { Picture, Role } from "../engine/protocol";
import { codesAt, draftsOf, type Run } from "../run";
import { theEngine } from "./engine";
import { depth, generating, image, problem, ROLES, runs, step, token } from "./state";

/** Pictures, and what they are of. */
export interface Shown {
  readonly key: string;
  readonly pictures: readonly Picture[];
}

interface Wanted {
  readonly key: string;
  readonly role: Role;
  /** [N, T] */
  readonly codes: Int32Array;
}

/** Bytes of pictures that a view keeps. */
const MOST_BYTES = 2 ** 26;
/** While images are generated, decoding takes at most this share of the time. */
const SHARE = 1 / 3;
const LONGEST_PAUSE_MS = 2000;

/** Decodes what a view wants to show: one request at a time, always the newest. */
class PictureFeed {
  readonly shown: Signal<Shown | undefined> = signal(undefined);
  readonly #kept = new Map<string, Shown>();
  #bytes = 0;
  #wanted: Wanted | undefined;
  #busy = false;

  want(wanted: Wanted | undefined): void {
    this.#wanted = wanted;
    const kept = wanted && this.#kept.get(wanted.key);
    if (kept || !wanted) this.shown.value = kept;
    else if (!this.#busy) void this.#work();
  }

  async #work(): Promise<void> {
    this.#busy = true;
    while (this.#wanted && !this.#kept.has(this.#wanted.key)) {
      const { key, role, codes } = this.#wanted;
      const begun = performance.now();
      try {
        const pictures = await theEngine().run("decode", { role, codes });
        this.#keep({ key, pictures });
        if (this.#wanted?.role === role) this.shown.value = this.#kept.get(this.#wanted.key) ?? { key, pictures };
      } catch (error) {
        if (!(error instanceof EngineError && error.stopped)) problem.value = (error as Error).message;
        break;
      }
      const took = performance.now() - begun;
      if (generating.value)
        await new Promise((resolve) => setTimeout(resolve, Math.min(took * (1 / SHARE - 1), LONGEST_PAUSE_MS)));
    }
    this.#busy = false;
  }

  #keep(shown: Shown): void {
    this.#kept.set(shown.key, shown);
    this.#bytes += sizeOf(shown);
    for (const [key, oldest] of this.#kept) {
      if (this.#bytes <= MOST_BYTES || key === shown.key) break;
      this.#kept.delete(key);
      this.#bytes -= sizeOf(oldest);
    }
  }
}

const sizeOf = ({ pictures }: Shown): number => pictures.reduce((sum, { data }) => sum + data.length, 0);

type Feeds = Readonly<Record<Role, PictureFeed>>;
const large: Feeds = { refined: new PictureFeed(), base: new PictureFeed() };
const small: Feeds = { refined: new PictureFeed(), base: new PictureFeed() };
const ofToken = new PictureFeed();

/** The image that is shown large, of a model. */
export const largePicture = (role: Role): ReadonlySignal<Shown | undefined> => large[role].shown;
/** All images of a gallery. */
export const gallery = (role: Role): ReadonlySignal<Shown | undefined> => small[role].shown;
/** The large image with each draft of the token that is looked at. */
export const tokenPictures: ReadonlySignal<Shown | undefined> = ofToken.shown;

/** The token whose drafts are shown: what is pointed at, or the one that became final last. */
export const lookedAt = (): number => token.value ?? step.value;

const joined = (parts: readonly Int32Array[]): Int32Array => {
  const all = new Int32Array(parts.length * (parts[0]?.length ?? 0));
  for (const [i, part] of parts.entries()) all.set(part, i * part.length);
  return all;
};

const isDrawn = (run: Run | undefined): run is Run => run !== undefined && run.steps.length > step.value;

/** Asks for what the views show, whenever that changes. */
export function followViews(): void {
  for (const role of ROLES) {
    effect(() => {
      const run = runs[role].value;
      if (!isDrawn(run)) return run === undefined ? large[role].want(undefined) : undefined;
      const shownDepth = depth.value ?? run.description.windowSize - 1;
      const key = [run.id, image.value, step.value, shownDepth].join();
      large[role].want({ key, role, codes: codesAt(run, image.value, step.value, shownDepth) });
    });
    effect(() => {
      const run = runs[role].value;
      if (run === undefined || run.images === 1) return small[role].want(undefined);
      if (!isDrawn(run)) return;
      const shownDepth = depth.value ?? run.description.windowSize - 1;
      const key = [run.id, step.value, shownDepth].join();
      const each = Array.from({ length: run.images }, (_, i) => codesAt(run, i, step.value, shownDepth));
      small[role].want({ key, role, codes: joined(each) });
    });
  }
  effect(() => {
    const run = runs.refined.value;
    const position = lookedAt();
    if (!isDrawn(run)) return;
    const codes = codesAt(run, image.value, step.value, run.description.windowSize - 1);
    const drafts = draftsOf(run, image.value, position, step.value);
    if (drafts.length === 0) return ofToken.want(undefined);
    const each = drafts.map(({ code }) => codes.with(position, code));
    const key = [run.id, image.value, step.value, position].join();
    ofToken.want({ key, role: "refined", codes: joined(each) });
  });
}
