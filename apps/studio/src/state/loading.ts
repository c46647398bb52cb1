import { effect, untracked } from "@preact/signals";
import { EngineError } from "../engine/client";
import type { Loading, ModelSource, Role } from "../engine/protocol";
import { isolate } from "../isolation";
import { type ShippedModel, shippedModels } from "../shipped";
import { restartEngine } from "./engine";
import { stopGenerating } from "./generating";
import {
  change,
  descriptions,
  device,
  models,
  type OwnFolder,
  ownFolder,
  phase,
  problem,
  runs,
  settings,
} from "./state";

let current = new AbortController();
let notIsolated: string | undefined;

/** Loads what the setting asks for, and again whenever it asks for another model or device. */
export async function startLoading(): Promise<void> {
  notIsolated = await isolate();
  let before = "";
  effect(() => {
    const { model, device: choice } = settings.value;
    const wanted = ownFolder.value ?? model;
    const key = `${choice} ${typeof wanted === "string" ? wanted : wanted.name}`;
    if (key === before) return;
    before = key;
    untracked(() => void reload());
  });
}

/** Loads from the beginning, as after a failure. What is still being loaded is given up. */
export async function reload(): Promise<void> {
  current.abort();
  current = new AbortController();
  const { signal } = current;
  stopGenerating();
  runs.refined.value = undefined;
  runs.base.value = undefined;
  descriptions.value = {};
  problem.value = undefined;
  try {
    await load(signal);
    if (!signal.aborted) phase.value = { kind: "ready" };
  } catch (error) {
    if (signal.aborted) return;
    phase.value = { kind: "failed", message: (error as Error).message };
  }
}

async function load(signal: AbortSignal): Promise<void> {
  const progress = createProgress(signal);
  progress.expect("the list of models", 0);
  if (models.value.length === 0) models.value = await shippedModels();
  signal.throwIfAborted();
  const plan = sourcesOf(ownFolder.value, models.value);
  const engine = restartEngine();
  progress.expect("ONNX Runtime", plan.bytes);
  const { device: choice } = settings.value;
  device.value = await engine.run("start", { choice, notIsolated }, { onEvent: progress.tell("ONNX Runtime"), signal });
  for (const [role, source] of plan.sources) {
    const { description, device: report } = await engine.run(
      "open",
      { role, source },
      { onEvent: progress.tell(role === "base" ? "the base model" : "the model"), signal },
    );
    signal.throwIfAborted();
    device.value = report;
    descriptions.value = { ...descriptions.value, [role]: description };
  }
}

interface Plan {
  readonly sources: readonly (readonly [Role, ModelSource])[];
  /** Of all models. */
  readonly bytes: number;
}

function sourcesOf(own: OwnFolder | undefined, offered: readonly ShippedModel[]): Plan {
  if (own) {
    const bytes = [...own.files.values()].reduce((sum, { size }) => sum + size, 0);
    return { sources: [["refined", { files: own.files }]], bytes };
  }
  const { model: id } = settings.value;
  const chosen = offered.find((model) => model.id === id) ?? offered[0];
  if (!chosen) throw new EngineError({ message: "this page offers no models", code: "missing", stopped: false });
  if (chosen.id !== id) change({ model: chosen.id });
  const source = (part: ShippedModel["refined"]) => ({
    url: new URL(`${part.folder}/`, location.href).href,
    bytes: part.bytes,
  });
  return {
    sources: [
      ["refined", source(chosen.refined)],
      ["base", source(chosen.base)],
    ],
    bytes: chosen.refined.bytes + chosen.base.bytes,
  };
}

/** Adds up what is loaded of all files. */
function createProgress(signal: AbortSignal) {
  const loaded = new Map<string, number>();
  let [expected, ofRuntime] = [0, 0];
  const show = (what: string, attempt: number): void => {
    if (signal.aborted) return;
    const sum = [...loaded.values()].reduce((a, b) => a + b, 0);
    phase.value = { kind: "loading", what, loaded: sum, total: Math.max(sum, expected + ofRuntime), attempt };
  };
  return {
    /** @param bytes of models */
    expect(what: string, bytes: number): void {
      expected = bytes;
      show(what, 1);
    },
    tell:
      (what: string) =>
      ({ file, loaded: bytes, total = 0, attempt }: Loading): void => {
        if (what === "ONNX Runtime") ofRuntime = total;
        loaded.set(`${what}/${file}`, bytes);
        show(what, attempt);
      },
  };
}
