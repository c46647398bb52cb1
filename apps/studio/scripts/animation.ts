/**
 * Draws `docs/studio.gif`, with which the repository's README opens: the built page, step by step. Needs Chromium.
 * `tsx scripts/animation.ts [FRAGMENT]`, where the fragment is the setting as the page's address holds it.
 */
import { writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { decode } from "fast-png";
import { encode } from "modern-gif";
import { generate, launch, openStudio } from "../test/chromium";
import { startHost } from "../test/static-host";

const [, , fragment = "class=noto/smileys-emotion&seed=8&scale=2&temperature=0.7"] = process.argv;
const OUT = fileURLToPath(new URL("../../../docs/studio.gif", import.meta.url));
/** The result, from its top to the sliders. */
const WIDTH = 880;
const MARGIN = 16;
const [DELAY_MS, LAST_DELAY_MS] = [110, 3000];
const MOST_COLORS = 96;

const host = await startHost(fileURLToPath(new URL("../dist", import.meta.url)));
const browser = await launch();
const page = await browser.newPage({ viewport: { width: 1240, height: 900 }, reducedMotion: "reduce" });
page.setDefaultTimeout(120_000);
await openStudio(page, `${host.url}#${fragment}`);
await generate(page);
const [result, timeline] = [await page.locator(".result").boundingBox(), await page.locator(".timeline").boundingBox()];
if (!result || !timeline) throw new Error("the page shows no result");
const [x, y] = [Math.round(result.x) - MARGIN, Math.round(result.y) - MARGIN];
const clip = { x, y, width: WIDTH, height: Math.round(timeline.y + timeline.height) + MARGIN - y };
const steps = Number(await page.getAttribute("#step", "max"));
const frames: { data: Uint8ClampedArray<ArrayBuffer>; delay: number }[] = [];
for (let step = 0; step <= steps; step += step < steps - 2 ? 2 : 1) {
  await page.locator("#step").fill(String(step));
  await page.waitForTimeout(250); // for the pictures of the step
  const { data } = decode(await page.screenshot({ clip }));
  frames.push({ data: withAlpha(data), delay: step === steps ? LAST_DELAY_MS : DELAY_MS });
}
const { width, height } = clip;
const gif = await encode({ width, height, frames, maxColors: MOST_COLORS, looped: true, loopCount: 0 });
await writeFile(OUT, new Uint8Array(gif));
console.log(`${OUT}: ${frames.length} frames of ${width} × ${height}, ${(gif.byteLength / 1e6).toFixed(2)} MB`);
await browser.close();
await host.close();

/** [pixels, 3] or [pixels, 4] → [pixels, 4] */
function withAlpha(data: ArrayLike<number>): Uint8ClampedArray<ArrayBuffer> {
  const pixels = clip.width * clip.height;
  const channels = data.length / pixels;
  const all = new Uint8ClampedArray(4 * pixels).fill(255);
  for (let pixel = 0; pixel < pixels; pixel++)
    for (let channel = 0; channel < 3; channel++) all[4 * pixel + channel] = data[channels * pixel + channel]!;
  return all;
}
