import { EngineError } from "../engine/client";
import type { Role, SentOptions } from "../engine/protocol";
import type { Run } from "../run";
import type { Settings } from "../settings";
import { theEngine } from "./engine";
import { delayPictures } from "./pictures";
import { playFromStart } from "./playback";
import { depth, descriptions, generating, image, phase, problem, runs, settings, shownRoles } from "./state";

let current = new AbortController();
let lastRun = 0;

/** Stops what is being generated; what is there stays. */
export function stopGenerating(): void {
  current.abort();
  generating.value = false;
}

/** Generates as the setting says, in place of what is there or under way. */
export async function startGenerating(): Promise<void> {
  if (phase.value.kind !== "ready") return;
  stopGenerating();
  current = new AbortController();
  const { signal } = current;
  problem.value = undefined;
  image.value = 0;
  depth.value = undefined;
  for (const role of ["refined", "base"] as const) runs[role].value = undefined;
  generating.value = true;
  delayPictures(descriptions.value.refined!);
  const { count } = settings.value;
  const jobs = shownRoles.value.map((role) => generateBy(role, optionsFor(role, settings.value), count, signal));
  playFromStart();
  try {
    await Promise.all(jobs);
  } catch (error) {
    if (!(error instanceof EngineError && error.stopped)) problem.value = (error as Error).message;
    if (!signal.aborted) current.abort(); // the other model need not go on
  } finally {
    if (current.signal === signal) generating.value = false;
  }
}

async function generateBy(role: Role, options: SentOptions, images: number, signal: AbortSignal): Promise<void> {
  let run: Run = { id: ++lastRun, description: descriptions.value[role]!, images, steps: [], notes: [] };
  runs[role].value = run;
  const show = (part: Partial<Run>): void => {
    if (signal.aborted) return;
    run = { ...run, ...part };
    runs[role].value = run;
  };
  const onEvent = (drawn: Run["steps"][number]): void => show({ steps: [...run.steps, drawn] });
  const { notes } = await theEngine().run("generate", { role, options }, { onEvent, signal });
  show({ notes });
}

function optionsFor(role: Role, given: Settings): SentOptions {
  const { conditions, windowSize, blanks } = descriptions.value[role]!;
  const { seed, temperature, draws, count, scale } = given;
  const common = { ...subjectOf(role, given), seed, temperature, draws, count };
  const guided = conditions.kind !== "class" || conditions.none >= 0 ? { scale } : {};
  if (windowSize === 1) return { ...common, ...guided }; // drafts nothing
  const drafts = given.drafts === "blank" && !blanks ? "raw" : given.drafts;
  return { ...common, ...guided, drafts, leaveOneOut: given.trust };
}

/** The class or prompt, as a model takes it. */
function subjectOf(role: Role, given: Settings): Pick<SentOptions, "class" | "prompt"> {
  const { conditions, classes } = descriptions.value[role]!;
  if (conditions.kind !== "class") return { prompt: given.prompt };
  if (given.class === "") return { class: 0 };
  const isIndex = /^\d+$/.test(given.class) && !classes.includes(given.class);
  return { class: isIndex ? Number(given.class) : given.class };
}
