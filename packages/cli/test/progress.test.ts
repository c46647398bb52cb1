import { afterEach, expect, test, vi } from "vitest";
import { endProgress, startProgress } from "../src/index";
import { createMeter, formatRate, formatSeconds } from "../src/meter";

afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

test("the rate is that of the last 20 s", () => {
  const pace = createMeter(100, 0);
  expect(pace(100, 0).rate).toBeUndefined();
  for (let at = 1; at <= 40; at++) pace(100 + at, at); // 1 a second
  expect(pace(140, 40).rate).toBeCloseTo(1);
  for (let at = 41; at <= 61; at++) pace(140 + 10 * (at - 40), at); // then 10
  const { rate, elapsed } = pace(350, 61);
  expect(rate).toBeCloseTo(10);
  expect(elapsed).toBe(61);
});

test("rates and times as people read them", () => {
  expect([31.4, 4.26, 0.5, 0.2, 0.001].map((rate) => formatRate(rate, "images"))).toEqual([
    ...["31 images/s", "4.3 images/s", "0.5 images/s", "12 images/min", "3.6 images/h"],
  ]);
  expect([0.4, 12, 200, 7500].map(formatSeconds)).toEqual(["0 s", "12 s", "3 min 20 s", "2 h 5 min"]);
});

/** What is printed on standard error, where that is no terminal. */
function plainLines(): string[] {
  vi.useFakeTimers();
  const lines: string[] = [];
  vi.spyOn(console, "error").mockImplementation((line) => void lines.push(line));
  return lines;
}

test("elsewhere than on a terminal: a line every ten seconds, and one at the end", () => {
  const lines = plainLines();
  const progress = startProgress("sample", 480, "images");
  for (let second = 1; second <= 15; second++) {
    vi.advanceTimersByTime(1000);
    progress.update(second * 30.5, "loss 1");
  }
  progress.update(480);
  progress.stop();
  progress.update(481);
  expect(lines).toEqual([
    "sample: 30/480 images · 31 images/s · ETA 15 s · loss 1",
    "sample: 335/480 images · 31 images/s · ETA 5 s · loss 1",
    "sample: 480/480 images · 32 images/s · took 15 s",
  ]);
});

test("without a total there is no ETA, and the last state is shown", () => {
  const lines = plainLines();
  const progress = startProgress("data", undefined, "images");
  progress.update(1);
  vi.advanceTimersByTime(2000);
  progress.update(9);
  endProgress();
  progress.update(10);
  expect(lines).toEqual(["data: 1 images", "data: 9 images · 4.5 images/s"]);
});

test("on a terminal the line of the bar ends before other text begins", () => {
  const written: string[] = [];
  vi.spyOn(process.stderr, "write").mockImplementation((text) => void written.push(String(text)) as never);
  const { isTTY, columns } = process.stderr;
  Object.assign(process.stderr, { isTTY: true, columns: 120, clearLine: () => true, cursorTo: () => true });
  try {
    const progress = startProgress("sample", 10, "images", 2);
    progress.update(5, "halfway");
    endProgress();
    const shown = written.join("");
    expect(shown).toContain("sample");
    expect(shown).toContain("5/10 images");
    expect(shown).toMatch(/\n$/);
    written.length = 0;
    progress.update(6);
    expect(written).toEqual([]);
  } finally {
    Object.assign(process.stderr, { isTTY, columns });
  }
});
