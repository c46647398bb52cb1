import type { SampleRows } from "../src/samples/sample-rows";
import type { SamplesDescription } from "../src/samples/samples-manifest";
import { beginSamples } from "../src/samples/samples-writer";

/** Writes a folder of samples as `tensorar sample` does, without its pictures. */
export async function writeSamples(dir: string, description: SamplesDescription, rows: SampleRows): Promise<void> {
  await beginSamples(dir, description, async () => undefined).add(0, rows);
}
