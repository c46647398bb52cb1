import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const program = fileURLToPath(new URL("./signals-program.ts", import.meta.url));

interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly output: string;
}

/** Runs the program; sends each signal once the output holds its text. */
function run(how: string, ...signals: readonly (readonly [after: string, signal: NodeJS.Signals])[]): Promise<Ended> {
  const flags = ["--import", "tsx", "--conditions=@tensorar/source"];
  const child = spawn(process.execPath, [...flags, program, "work", "--how", how]);
  const left = [...signals];
  let output = "";
  const read = (chunk: Buffer): void => {
    output += chunk.toString();
    while (left.length > 0 && output.includes(left[0]![0])) child.kill(left.shift()![1]);
  };
  child.stdout.on("data", read);
  child.stderr.on("data", read);
  return new Promise((resolve) => child.on("close", (code, signal) => resolve({ code, signal, output })));
}

test.each([
  ["SIGINT", 130],
  ["SIGTERM", 143],
] as const)("%s stops the work and ends with %d", async (signal, code) => {
  const ended = await run("stops", ["ready", signal]);
  expect(ended, ended.output).toMatchObject({ code, signal: null });
  expect(ended.output).toMatch(/\nstopping after this step; press Ctrl-C again to stop at once\nstopped\n$/);
});

test("a second signal ends the process at once, while it holds the event loop", async () => {
  const begun = performance.now();
  const ended = await run("holds", ["ready", "SIGINT"], ["held", "SIGINT"]);
  expect(ended.signal, ended.output).toBe("SIGINT"); // by the system: shells say 130
  expect(performance.now() - begun).toBeLessThan(15_000); // it would hold the loop for 20 s
});

test("two signals while the loop is held end it as soon as it is free", async () => {
  const ended = await run("holds", ["ready", "SIGTERM"], ["ready", "SIGINT"]);
  expect(ended.code ?? ended.signal, ended.output).toBeOneOf([130, 143]);
  expect(ended.output).not.toContain("held");
});

test.each([
  ["fails", /bug in studio \(x is undefined\).*TypeError: x is undefined\n +at /s],
  ["breaks", /bug in studio \(from elsewhere\).*RangeError: from elsewhere\n +at /s],
])("a program that %s ends with 1 and a report", async (how, text) => {
  const ended = await run(how);
  expect(ended.code, ended.output).toBe(1);
  expect(ended.output).toMatch(text);
});
