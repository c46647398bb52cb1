import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type GenerateOptions, TensorAR } from "@tensorar/pipeline";
import { decode as decodePng } from "fast-png";
import { decode as decodeGif } from "modern-gif";
import * as ortWeb from "onnxruntime-web";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { SavedRun } from "../src/export/trace";
import type { ShippedModel } from "../src/shipped";
import { CHROMIUM, finished, generate, launch, openStudio, ready } from "./chromium";
import { type StaticHost, startHost } from "./static-host";

const DIST = fileURLToPath(new URL("../dist", import.meta.url));
const AXE = createRequire(import.meta.url).resolve("axe-core/axe.min.js");

/** Loading takes 3 seconds; processors that others use as well take many times as long. */
const PATIENCE_MS = 120_000;

let browser: Browser;
let host: StaticHost;
let context: BrowserContext;
let page: Page;
const failures: string[] = [];

describe.skipIf(CHROMIUM === undefined)("the page in Chromium, from a host that sends no headers", () => {
  beforeAll(async () => {
    expect(existsSync(join(DIST, "sw.js")), "the page is not built; run `npm run build`").toBe(true);
    [browser, host] = await Promise.all([launch(), startHost(DIST)]);
    context = await browser.newContext({ viewport: { width: 1280, height: 900 } });
    context.setDefaultTimeout(PATIENCE_MS);
    page = await context.newPage();
    page.on("pageerror", ({ message }) => failures.push(message));
    await openStudio(page, host.url);
  });
  afterAll(async () => {
    await browser?.close();
    await host?.close();
  });

  test("is isolated by its service worker, and says what it runs on and why", async () => {
    expect(await page.evaluate(() => crossOriginIsolated)).toBe(true);
    const note = page.locator(".device");
    expect(await note.getAttribute("data-device")).toBe("wasm");
    const cores = await page.evaluate(() => navigator.hardwareConcurrency);
    expect(await note.getAttribute("data-threads")).toBe(String(Math.min(4, Math.ceil(cores / 2))));
    expect(await note.textContent()).toMatch(/no WebGPU: /);
  });

  test("tokens appear one by one, drafts stand apart, and what changes is marked", async () => {
    await page.click("button.primary");
    const refined = page.locator('[data-role="refined"]');
    await page.waitForFunction(() => Number(document.querySelector<HTMLInputElement>("#step")?.value) >= 8);
    await page.click(".play"); // holds it
    const step = Number(await page.inputValue("#step"));
    expect(await refined.locator(".cell.final").count()).toBe(step + 1);
    expect(await refined.locator(".cell.draft").count()).toBe(Math.min(3, 63 - step));
    expect(await refined.locator(".cell.flipped").count()).toBeGreaterThan(0);
    expect(await page.locator('[data-role="base"] .cell.draft').count()).toBe(0);
    expect(await page.locator('[data-role="base"] .cell.final').count()).toBe(step + 1);
    await page.click(".play");
    await finished(page);
    expect(await refined.locator(".cell.final").count()).toBe(64);
    expect(await colours(page, '[data-role="refined"] .picture canvas')).toBeGreaterThan(100); // a picture
  });

  test.each([
    { drafts: "renoise", leaveOneOut: 0.2, draws: "step", scale: 2.5, temperature: 0.9, seed: 11 },
    { drafts: "raw", leaveOneOut: 0, draws: "position", scale: 1, temperature: 1, seed: 12 },
  ] as const)("draws the codes that Node draws: %j", async ({ leaveOneOut, ...asked }) => {
    const name = "fluent/food-drink";
    const address = new URLSearchParams({ class: name, trust: `${leaveOneOut}`, ...texts(asked) });
    await page.emulateMedia({ reducedMotion: "reduce" }); // shows the last step at once, from here on
    await page.goto(`${host.url}#${address}`);
    await generate(page);
    const saved = JSON.parse((await download(page, "Trace (JSON)")).toString()) as Record<"refined" | "base", SavedRun>;
    const [shipped] = JSON.parse(await readFile(join(DIST, "models/index.json"), "utf8")) as [ShippedModel];
    const expected = await inNode(shipped.refined.folder, { ...asked, class: name, leaveOneOut });
    expect(saved.refined.codes.flat()).toEqual(expected.codes);
    expect(saved.refined.trace.flat(2)).toEqual(expected.trace);
    for (const [at, probability] of saved.refined.probabilities.flat(2).entries())
      expect(probability).toBeCloseTo(expected.probabilities[at]!, 5);
    const { drafts: _, ...plain } = asked;
    expect(saved.base.codes.flat()).toEqual((await inNode(shipped.base.folder, { ...plain, class: name })).codes);
  });

  test("a gallery of 16 images, each of which can be shown large", async () => {
    await page.locator("#count").check();
    await page.click("button.primary");
    await page.waitForFunction(() => document.querySelector<HTMLCanvasElement>(".gallery canvas")?.width === 32);
    await page.waitForFunction(() => Number(document.querySelector<HTMLInputElement>("#step")?.value) >= 12);
    const images = page.locator('[data-role="refined"] .gallery button');
    expect(await images.count()).toBe(16);
    await stop(page);
    const labels = () =>
      page.locator('[data-role="refined"] .cell.final').evaluateAll((all) => all.map((each) => each.ariaLabel));
    const before = await labels();
    await images.nth(5).click();
    expect(await images.nth(5).getAttribute("aria-pressed")).toBe("true");
    expect(await labels()).not.toEqual(before);
    await page.locator("#count").uncheck();
    await generate(page);
  });

  test("sliders go through steps and depths; a token shows its drafts", async () => {
    await page.locator("#step").fill("20");
    expect(await page.locator('[data-role="refined"] .cell.final').count()).toBe(21);
    await page.locator('[data-role="refined"] [data-position="23"]').hover();
    expect(await page.locator(".token h2").textContent()).toMatch(/^Token 24/);
    expect(await page.locator(".token li").count()).toBe(1); // its first draft is all there is
    await page.locator("#step").fill("63");
    await page.locator('[data-role="refined"] [data-position="23"]').hover();
    const rows = await page.locator(".token li").allTextContents();
    expect(rows).toHaveLength(4);
    expect(rows[0]).toMatch(/^first draftcode \d+\d+\.\d %/);
    expect(rows[3]).toMatch(/^finalcode/);
    const codes = () =>
      page
        .locator('[data-role="refined"] .cell')
        .evaluateAll((cells) => cells.map((cell) => cell.getAttribute("aria-label")).join());
    const seen = new Set<string>();
    for (const depth of ["3", "2", "1", "0"]) {
      await page.locator("#depth").fill(depth);
      seen.add(await codes());
    }
    expect(seen.size).toBeGreaterThan(1);
    await page.locator("#depth").fill("3");
  });

  test("the keyboard moves from token to token", async () => {
    await page.locator('[data-role="refined"] [data-position="0"]').focus();
    for (const key of ["ArrowRight", "ArrowDown", "ArrowDown", "ArrowLeft"]) await page.keyboard.press(key);
    expect(await page.evaluate(() => document.activeElement?.getAttribute("data-position"))).toBe("16");
    expect(await page.locator(".token h2").textContent()).toMatch(/^Token 17/);
  });

  test.each([
    { width: 1280, scheme: "light" },
    { width: 1280, scheme: "dark" },
    { width: 390, scheme: "light" },
    { width: 390, scheme: "dark" },
  ] as const)("axe finds nothing at a width of $width in $scheme", async ({ width, scheme }) => {
    await page.setViewportSize({ width, height: 900 });
    await page.emulateMedia({ colorScheme: scheme });
    await page.locator(".refinement").evaluate((details: HTMLDetailsElement) => {
      details.open = true;
    });
    await page.evaluate(await readFile(AXE, "utf8"));
    const violations = await page.evaluate(async () => {
      const { axe } = window as unknown as { axe: typeof import("axe-core") };
      const { violations } = await axe.run();
      return violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)]);
    });
    expect(violations).toEqual([]);
    const overflow = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
    expect(overflow).toBeLessThanOrEqual(0);
    await page.setViewportSize({ width: 1280, height: 900 });
  });

  test("the setting is in the address, and comes back from it", async () => {
    await page.goto(`${host.url}#seed=3&class=noto/symbols`);
    await page.locator("#seed").fill("77");
    await page.locator("#seed").blur();
    await page.locator("#class").selectOption("fluent/food-drink");
    await page.locator("#temperature").fill("0.7");
    const address = page.url();
    expect(address).toContain("seed=77");
    expect(address).toContain("temperature=0.7");
    await page.goto("about:blank");
    await openStudio(page, address);
    expect(await page.inputValue("#seed")).toBe("77");
    expect(await page.inputValue("#temperature")).toBe("0.7");
    expect(page.url()).toBe(address);
  });

  test("stopping, starting again and changing things on the way leave the last request's image", async () => {
    await page.locator("#seed").fill("5");
    for (let i = 0; i < 6; i++) {
      await page.click("button.primary");
      await page.waitForTimeout(30 * i);
      if (i % 2 === 0) await stop(page);
    }
    await page.locator("#seed").fill("6");
    await page.locator("#seed").blur();
    await generate(page);
    const hurried = await download(page, "Trace (JSON)");
    await generate(page);
    expect((await download(page, "Trace (JSON)")).equals(hurried)).toBe(true);
    expect(await page.locator(".problem").count()).toBe(0);
  });

  test("the page does not freeze while it generates", async () => {
    await page.locator("#count").check();
    const frames = page.evaluate(
      () =>
        new Promise<number[]>((resolve) => {
          const gaps: number[] = [];
          let before = performance.now();
          const next = (now: number) => {
            gaps.push(now - before);
            before = now;
            if (gaps.length < 90) requestAnimationFrame(next);
            else resolve(gaps.sort((a, b) => a - b));
          };
          requestAnimationFrame(next);
        }),
    );
    await page.click("button.primary");
    const gaps = await frames;
    // 60 a second are 17 ms; this is software rendering on processors that others use too.
    expect(gaps[Math.floor(gaps.length / 2)]).toBeLessThan(40);
    await stop(page);
    await page.locator("#count").uncheck();
  });

  test("image and animation are saved", async () => {
    await generate(page);
    const { width, height } = decodePng(await download(page, "Image (PNG)"));
    expect([width, height]).toEqual([32, 32]);
    const gif = decodeGif(new Uint8Array(await download(page, "Animation (GIF)")).buffer);
    expect([gif.width, gif.height, gif.frames.length, gif.looped]).toEqual([528, 256, 32, true]);
  });

  test("a folder of one's own: loaded, refused when it is none, and said to be too large before it is tried", async () => {
    const shipped = JSON.parse(await readFile(join(DIST, "models/index.json"), "utf8")) as ShippedModel[];
    const folder = join(DIST, shipped[1]!.refined.folder);
    await page.setInputFiles("#folder", join(DIST, "assets"));
    await page.getByText(/It has no config\.json/).waitFor();
    await page.evaluate(() => Object.defineProperty(navigator, "deviceMemory", { value: 0.02, configurable: true }));
    await page.setInputFiles("#folder", folder);
    await page.getByText(/needs about \d\.\d GB of memory, and a page has at most 0\.0 GB/).waitFor();
    await page.getByRole("button", { name: "Try it all the same" }).click();
    await page.getByText(/Your folder .* is in use/).waitFor();
    await ready(page);
    await generate(page);
    expect(await page.locator('[data-role="base"]').count()).toBe(0); // there is none to compare with
    await page.getByRole("button", { name: /Back to the page's models/ }).click();
    await ready(page);
  });

  test("a download that breaks off is tried again; one that can't be had is said, and can be", async () => {
    const fresh = await browser.newContext();
    fresh.setDefaultTimeout(PATIENCE_MS);
    const other = await fresh.newPage();
    let broken = 1;
    host.instead = (path, response) => {
      if (!path.endsWith("/decoder.onnx") || broken === 0) return false;
      broken--;
      response.writeHead(200, { "content-length": 6_000_000 });
      response.write(new Uint8Array(100_000));
      setTimeout(() => response.destroy(), 50);
      return true;
    };
    await openStudio(other, host.url); // once
    broken = 6;
    await other.evaluate(() => caches.delete("files"));
    await other.reload();
    const problem = other.locator(".problem");
    await problem.waitFor();
    expect(await problem.textContent()).toMatch(/decoder\.onnx: .*check the address and the connection/);
    broken = 0;
    await other.getByRole("button", { name: "Try again" }).click();
    await ready(other);
    await fresh.close();
  });

  test("opens and generates offline after the first visit", async () => {
    await host.close();
    await page.reload();
    await ready(page);
    await generate(page);
    expect(await page.locator('[data-role="refined"] .cell.final').count()).toBe(64);
    expect(failures).toEqual([]);
  });
});

/** Presses Stop, which does nothing where all is done. */
const stop = (page: Page): Promise<void> =>
  page.getByRole("button", { name: "Stop" }).evaluate((button: HTMLButtonElement) => button.click());

/** Different colours of a canvas. */
const colours = (page: Page, selector: string): Promise<number> =>
  page.locator(selector).evaluate((canvas: HTMLCanvasElement) => {
    const { data } = canvas.getContext("2d")!.getImageData(0, 0, canvas.width, canvas.height);
    return new Set(new Uint32Array(data.buffer)).size;
  });

async function download(page: Page, name: string): Promise<Buffer> {
  const event = page.waitForEvent("download");
  await page.getByRole("button", { name }).click();
  return readFile(await (await event).path());
}

const texts = (values: object): Record<string, string> =>
  Object.fromEntries(Object.entries(values).map(([name, value]) => [name, String(value)]));

/** By the same build of ONNX Runtime, so that sums round alike and every code is the same on every machine. */
async function inNode(folder: string, options: GenerateOptions) {
  const model = await TensorAR.load(join(DIST, folder), { device: "wasm", runtime: ortWeb });
  const { codes, trace, probabilities } = await model.generate({ ...options, probabilities: true });
  await model.dispose();
  return { codes: [...codes], trace: [...trace], probabilities: [...probabilities!] };
}
