import { signal } from "@preact/signals";
import { EXPORT_KIND, GRAPHS, parseManifest } from "@tensorar/manifest";
import { memoryFor, memoryHere, tooLarge } from "../memory";
import { change, type OwnFolder, ownFolder } from "./state";

/** Files that a model is loaded from; others in the folder are left alone. */
const READ = /^(config\.json|tokenizer(_config)?\.json|[\w.-]+\.onnx(\.data(_\d+)?)?)$/;

/** A folder that is not loaded, and why; `folder` where it can be tried all the same. */
export interface Refused {
  readonly name: string;
  readonly reason: string;
  readonly folder?: OwnFolder;
}

export const refused = signal<Refused | undefined>(undefined);

/** Files as they were dropped or chosen, by their paths. */
export type GivenFiles = ReadonlyMap<string, File>;

/** Loads the export in a folder, unless it is none, or too large for this device. */
export async function giveFolder(given: GivenFiles): Promise<void> {
  const folder = exportIn(given);
  const problem = await problemOf(folder);
  refused.value = problem;
  if (!problem) useFolder(folder);
}

/** Loads a folder, whatever it is. */
export function useFolder(folder: OwnFolder): void {
  refused.value = undefined;
  change({ class: "", prompt: "", trust: undefined });
  ownFolder.value = folder;
}

/** Goes back to the models that the page offers. */
export function leaveFolder(): void {
  refused.value = undefined;
  change({ class: "", prompt: "", trust: undefined });
  ownFolder.value = undefined;
}

/** The files beside the uppermost `config.json`. */
function exportIn(given: GivenFiles): OwnFolder {
  const configs = [...given.keys()].filter((path) => /(^|\/)config\.json$/.test(path));
  const [config = ""] = configs.sort((a, b) => a.split("/").length - b.split("/").length);
  const base = config.slice(0, config.length - "config.json".length);
  const inside = [...given].flatMap(([path, file]) => {
    const name = path.slice(base.length);
    return path.startsWith(base) && READ.test(name) ? [[name, file] as const] : [];
  });
  const first = [...given.keys()][0] ?? "";
  return { name: base.split("/").at(-2) ?? first.split("/")[0] ?? first, files: new Map(inside) };
}

async function problemOf(folder: OwnFolder): Promise<Refused | undefined> {
  const { name, files } = folder;
  const config = files.get("config.json");
  if (!config)
    return { name, reason: "It has no config.json. Give the folder that `tensorar-exporter export` has written." };
  try {
    const contents = new Uint8Array(await config.arrayBuffer());
    if (!GRAPHS.some((file) => files.has(file)) && !new TextDecoder().decode(contents).includes(EXPORT_KIND))
      return {
        name,
        reason: "It is no export. Run `tensorar-exporter export --model … --output …` and give that folder.",
      };
    const manifest = parseManifest(contents, `${name}/config.json`);
    const sizes = new Map([...files].map(([file, { size }]) => [file, size]));
    const { deviceMemory } = navigator as { readonly deviceMemory?: number };
    const reason = tooLarge(memoryFor(manifest, sizes), memoryHere(deviceMemory));
    return reason === undefined ? undefined : { name, reason, folder };
  } catch (error) {
    return { name, reason: (error as Error).message };
  }
}
