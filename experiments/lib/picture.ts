import { imageGrid, openSamples, savePng } from "@tensorar/data";
import type { ExperimentPlan } from "./plan";
import type { ResultRow } from "./rows";
import { testSamples } from "./samples";

/** Images of a row of the picture, of classes evenly spread over the test images. */
const COLUMNS = 20;

/** The same classes and random numbers by every model of the first seed, a row each, in the order of the results. */
export async function savePicture(
  path: string,
  dir: string,
  rows: readonly ResultRow[],
  { samplesPerImage }: ExperimentPlan,
): Promise<void> {
  const shown = rows.filter(({ seed }) => seed === 0);
  const images: Uint8Array[] = [];
  let size = 0;
  for (const { name, seed, temperature, scale, drafts, lambda } of shown) {
    const draw = { temperature, scale, ...(lambda !== undefined && { drafts: { drafts, lambda } }) };
    const samples = await openSamples(testSamples(dir, { name, seed }, draw));
    size = samples.imageSize;
    const round = samples.count / Math.max(1, samplesPerImage.test); // after which the classes begin again
    const step = round / COLUMNS;
    for (let i = 0; i < COLUMNS; i++) images.push((await samples.read(Math.floor(i * step), 1)).images);
  }
  const shape = { count: images.length, height: size, width: size, columns: COLUMNS, scale: 2 };
  await savePng(path, await imageGrid(new Uint8Array(Buffer.concat(images)), shape));
}
