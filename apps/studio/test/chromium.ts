import { existsSync } from "node:fs";
import { type Browser, chromium, type Page } from "playwright-core";

/** Where Debian, Ubuntu and Fedora put it. */
const PLACES = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

/** The installed Chromium; undefined where there is none. */
export const CHROMIUM = process.env.TENSORAR_CHROMIUM ?? PLACES.find((path) => existsSync(path));

if (CHROMIUM === undefined)
  console.warn(
    `No Chromium at ${PLACES.join(", ")} or TENSORAR_CHROMIUM: the tests of the page in a browser are skipped.`,
  );

export const launch = (): Promise<Browser> =>
  // The sandbox needs privileges that containers of CI do not have.
  chromium.launch({ executablePath: CHROMIUM!, args: ["--no-sandbox"] });

/** Opens the page and waits until its models are loaded. */
export async function openStudio(page: Page, url: string): Promise<void> {
  await page.goto(url);
  await ready(page);
}

export const ready = (page: Page): Promise<unknown> => page.waitForSelector("button.primary:not([disabled])");

/** Generates, and waits until the last step is shown. */
export async function generate(page: Page): Promise<void> {
  await page.click("button.primary");
  await finished(page);
}

export const finished = (page: Page): Promise<unknown> =>
  page.waitForFunction(() => {
    const step = document.querySelector<HTMLInputElement>("#step");
    const play = document.querySelector(".play");
    return step?.disabled === false && step.value === step.max && play?.textContent === "Play";
  });
