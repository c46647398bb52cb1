import type { SampleRows } from "../src/folders/sample-rows";
import type { SamplesDescription } from "../src/folders/samples-manifest";
import { beginSamples } from "../src/folders/samples-writer";

/** Writes a folder of samples as `tensorar sample` does, without its pictures. */
export async function writeSamples(dir: string, description: SamplesDescription, rows: SampleRows): Promise<void> {
  await beginSamples(dir, description, async () => undefined).add(0, rows);
}
