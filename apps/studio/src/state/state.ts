import { computed, signal } from "@preact/signals";
import type { Description } from "@tensorar/pipeline";
import type { DeviceReport, Role } from "../engine/protocol";
import type { Run } from "../run";
import { fromFragment, type Settings } from "../settings";
import type { ShippedModel } from "../shipped";

/** What the page is busy with before it can generate. */
export type Phase =
  | {
      readonly kind: "loading";
      readonly what: string;
      readonly loaded: number;
      readonly total: number;
      readonly attempt: number;
    }
  | { readonly kind: "ready" }
  | { readonly kind: "failed"; readonly message: string };

/** A folder that was dropped, in place of the models that the page offers. */
export interface OwnFolder {
  readonly name: string;
  readonly files: ReadonlyMap<string, Blob>;
}

export const ROLES: readonly Role[] = ["refined", "base"];

export const settings = signal<Settings>(fromFragment(location.hash));
export const phase = signal<Phase>({ kind: "loading", what: "the page", loaded: 0, total: 0, attempt: 1 });
export const models = signal<readonly ShippedModel[]>([]);
export const ownFolder = signal<OwnFolder | undefined>(undefined);
export const device = signal<DeviceReport | undefined>(undefined);
/** Of the models that are loaded. */
export const descriptions = signal<Readonly<Partial<Record<Role, Description>>>>({});

export const runs: Readonly<Record<Role, ReturnType<typeof signal<Run | undefined>>>> = {
  refined: signal<Run | undefined>(undefined),
  base: signal<Run | undefined>(undefined),
};
export const generating = signal(false);
/** What went wrong while generating or showing it. */
export const problem = signal<string | undefined>(undefined);

/** The step that is shown, 0 … T-1. */
export const step = signal(0);
/** The depth that is shown; undefined for the newest. */
export const depth = signal<number | undefined>(undefined);
export const playing = signal(false);
/** The image that is shown large. */
export const image = signal(0);
/** The token that the pointer or the focus is on. */
export const token = signal<number | undefined>(undefined);

export const refined = computed(() => descriptions.value.refined);
/** Folders of one's own hold no base model. */
export const canCompare = computed(() => ownFolder.value === undefined);
/** Roles whose images are shown. */
export const shownRoles = computed<readonly Role[]>(() =>
  canCompare.value && settings.value.base ? ROLES : ["refined"],
);
/** Steps that all shown runs have drawn. */
export const drawnSteps = computed(() =>
  Math.min(...shownRoles.value.map((role) => runs[role].value?.steps.length ?? Number.POSITIVE_INFINITY)),
);
export const totalSteps = computed(() => runs.refined.value?.description.tokens ?? refined.value?.tokens ?? 0);

export function change(part: Partial<Settings>): void {
  settings.value = { ...settings.value, ...part };
}
