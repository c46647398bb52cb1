import { effect, type ReadonlySignal, type Signal, signal } from "@preact/signals";
import type { Description } from "@tensorar/pipeline";
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
  /** Of the model. */
  readonly description: Description;
}

/** Bytes of pictures that a view keeps. */
const MOST_BYTES = 2 ** 26;
/** While images are generated, slow decoding takes at most this share of the time, of all views together. */
const SHARE = 1 / 3;
const LOOK_AGAIN_MS = 100;
/** Decoding a picture is slow when it takes longer. */
const QUICK_MS = 50;
/** Before one was decoded: small pictures are quick, and others take as long as those of LlamaGen on one processor. */
const [QUICK_PIXELS, MS_PER_PIXEL] = [64 ** 2, 0.3];

/** How long a picture of a model took last, in milliseconds. */
const paces = new WeakMap<Description, number>();
let notBefore = 0;

function paceOf(description: Description): number {
  const pixels = description.imageSize ** 2;
  return paces.get(description) ?? (pixels <= QUICK_PIXELS ? 0 : pixels * MS_PER_PIXEL);
}

const isQuick = (description: Description): boolean => paceOf(description) <= QUICK_MS;

/** Leaves the time before the first picture to generation. */
export function delayPictures(description: Description): void {
  notBefore = performance.now() + paceOf(description) * (1 / SHARE - 1);
}

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
      const wait = notBefore - performance.now();
      if (generating.value && !isQuick(this.#wanted.description) && wait > 0) {
        await new Promise((resolve) => setTimeout(resolve, Math.min(wait, LOOK_AGAIN_MS)));
        continue; // something newer may be wanted, or all be done
      }
      const { key, role, codes, description } = this.#wanted;
      try {
        const pictures = await timed(description, theEngine().run("decode", { role, codes }));
        this.#keep({ key, pictures });
        if (this.#wanted?.role === role) this.shown.value = this.#kept.get(this.#wanted.key) ?? { key, pictures };
      } catch (error) {
        if (!(error instanceof EngineError && error.stopped)) problem.value = (error as Error).message;
        break;
      }
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

/** Notes how long decoding takes, and how long no other may begin. */
async function timed(description: Description, decoding: Promise<readonly Picture[]>): Promise<readonly Picture[]> {
  const begun = performance.now();
  notBefore = Number.POSITIVE_INFINITY;
  try {
    const pictures = await decoding;
    paces.set(description, (performance.now() - begun) / pictures.length);
    return pictures;
  } finally {
    const now = performance.now();
    notBefore = now + (now - begun) * (1 / SHARE - 1);
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
      const codes = codesAt(run, image.value, step.value, shownDepth);
      large[role].want({ key, role, codes, description: run.description });
    });
    effect(() => {
      const run = runs[role].value;
      if (run === undefined || run.images === 1) return small[role].want(undefined);
      if (generating.value && !isQuick(run.description)) return;
      if (!isDrawn(run)) return;
      const shownDepth = depth.value ?? run.description.windowSize - 1;
      const key = [run.id, step.value, shownDepth].join();
      const each = Array.from({ length: run.images }, (_, i) => codesAt(run, i, step.value, shownDepth));
      small[role].want({ key, role, codes: joined(each), description: run.description });
    });
  }
  effect(() => {
    const run = runs.refined.value;
    const position = lookedAt();
    if (!isDrawn(run)) return;
    const codes = codesAt(run, image.value, step.value, run.description.windowSize - 1);
    const drafts = draftsOf(run, image.value, position, step.value);
    if (drafts.length === 0 || (generating.value && !isQuick(run.description))) return ofToken.want(undefined);
    const each = drafts.map(({ code }) => codes.with(position, code));
    const key = [run.id, image.value, step.value, position].join();
    ofToken.want({ key, role: "refined", codes: joined(each), description: run.description });
  });
}
