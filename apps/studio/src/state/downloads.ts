import { signal } from "@preact/signals";
import type { Role } from "../engine/protocol";
import { encodeAnimation, type Frames, type Panel } from "../export/animation";
import { save } from "../export/save";
import { traceOf } from "../export/trace";
import { codesAt, flipAge, type Run, stateOf } from "../run";
import { theEngine } from "./engine";
import { depth, image, problem, runs, settings, shownRoles, step } from "./state";

/** Frames of an animation at most: of longer images some steps are left out. */
const MOST_FRAMES = 32;
/** Pictures that are decoded at once. */
const AT_ONCE = 8;

/** What is being saved, for a moment after it is done too. */
export const saving = signal<string | undefined>(undefined);

const drawnRuns = (): (readonly [Role, Run])[] =>
  shownRoles.value.flatMap((role) => {
    const run = runs[role].value;
    return run && run.steps.length > 0 ? [[role, run] as const] : [];
  });

function fileName(ending: string): string {
  const { model, seed, class: name, prompt } = settings.value;
  const what = (name || prompt).replace(/[^\p{L}\p{N}]+/gu, "-").slice(0, 40);
  return ["tensorar", model, what, `seed-${seed}`, image.value + 1].filter((part) => part !== "").join("-") + ending;
}

/** Says what went wrong where the visitor sees it. */
async function telling(what: string, job: () => Promise<void>): Promise<void> {
  try {
    saving.value = what;
    await job();
  } catch (error) {
    problem.value = (error as Error).message;
  } finally {
    saving.value = undefined;
  }
}

/** The image of the first model that is shown, at the step and depth that are shown; it may not be on the page yet. */
export const savePng = (): Promise<void> =>
  telling("Saving the image", async () => {
    const run = runs.refined.value;
    if (!run) throw new Error("there is no image yet; generate one");
    const codes = codesAt(run, image.value, step.value, depth.value ?? run.description.windowSize - 1);
    const [picture] = await theEngine().run("decode", { role: "refined", codes });
    const { width, height, data } = picture!;
    const canvas = new OffscreenCanvas(width, height);
    canvas.getContext("2d")!.putImageData(new ImageData(data, width, height), 0, 0);
    save(fileName(".png"), await canvas.convertToBlob({ type: "image/png" }));
  });

/** Every draft of every token so far. */
export const saveTrace = (): Promise<void> =>
  telling("Saving the trace", async () => {
    const trace = traceOf(settings.value, Object.fromEntries(drawnRuns()));
    save(fileName(".json"), new Blob([JSON.stringify(trace)], { type: "application/json" }));
  });

/** The image as it grew. */
export const saveAnimation = (): Promise<void> =>
  telling("Making the animation", async () => {
    const [index, drawn] = [image.value, drawnRuns()];
    const steps = stepsOf(Math.min(...drawn.map(([, run]) => run.steps.length)));
    const panels: Panel[][] = [];
    for (const [role, run] of drawn) panels.push(await panelsOf(role, run, index, steps));
    const frames: Frames = steps.map((_, i) => panels.map((each) => each[i]!));
    save(fileName(".gif"), await encodeAnimation(frames));
  });

/** Evenly spread steps, the last among them. */
function stepsOf(count: number): number[] {
  const frames = Math.min(count, MOST_FRAMES);
  return Array.from({ length: frames }, (_, i) => Math.ceil(((i + 1) * count) / frames) - 1);
}

async function panelsOf(role: Role, run: Run, index: number, steps: readonly number[]): Promise<Panel[]> {
  const { tokens: T, grid, windowSize } = run.description;
  const panels: Panel[] = [];
  for (let first = 0; first < steps.length; first += AT_ONCE) {
    const some = steps.slice(first, first + AT_ONCE);
    saving.value = `Making the animation: ${role === "base" ? "base model, " : ""}${first} of ${steps.length} pictures`;
    const codes = new Int32Array(some.length * T);
    for (const [i, step] of some.entries()) codes.set(codesAt(run, index, step, windowSize - 1), i * T);
    const pictures = await theEngine().run("decode", { role, codes });
    for (const [i, step] of some.entries()) {
      const positions = Array.from({ length: T }, (_, position) => position);
      const isLast = step === T - 1;
      panels.push({
        picture: pictures[i]!,
        grid,
        states: positions.map((position) => stateOf(run, position, step)),
        flipped: isLast ? [] : positions.filter((position) => flipAge(run, index, position, step, 1) !== undefined),
      });
    }
  }
  saving.value = "Making the animation";
  return panels;
}
