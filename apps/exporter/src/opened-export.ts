import type { ExportManifest, SessionSettings, Target } from "@tensorar/manifest";
import { readManifest } from "@tensorar/manifest/node";
import type { NodeRuntime } from "@tensorar/onnx/node";
import { type OpenGraph, type OpenOptions, openGraph } from "./open-graph";
import { availableSessions } from "./providers";

/** An export as this machine runs it: what its manifest says, and its graphs, each opened when it is asked for. */
export interface OpenedExport {
  readonly dir: string;
  readonly manifest: ExportManifest;
  /** @throws TensorARError when ONNX Runtime refuses the file */
  open(file: string, options?: OpenOptions): Promise<OpenGraph>;
}

/**
 * @param provider another target's than the one that the export was made for
 * @throws TensorARError when it can't be read, or the provider does not run here
 */
export async function openExport(dir: string, runtime: NodeRuntime, provider?: Target): Promise<OpenedExport> {
  const manifest = await readManifest(dir);
  return openedExport(dir, manifest, runtime, await availableSessions(runtime, manifest, provider));
}

/** An export whose graphs are opened with these settings. */
export const openedExport = (
  dir: string,
  manifest: ExportManifest,
  runtime: NodeRuntime,
  sessions: Readonly<Record<string, SessionSettings>>,
): OpenedExport => ({
  dir,
  manifest,
  open: (file, options) => openGraph(dir, file, runtime, sessions, options),
});
