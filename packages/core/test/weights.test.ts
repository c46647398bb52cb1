import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { TensorARError } from "../src";
import { weightsFolder } from "../src/node";

let project: string;
const before = process.cwd();
beforeEach(() => {
  project = realpathSync(mkdtempSync(join(tmpdir(), "weights-")));
  const installed = join(project, "node_modules/@tensorar/weights-toys");
  mkdirSync(join(installed, "small"), { recursive: true });
  writeFileSync(join(installed, "package.json"), "{}");
  mkdirSync(join(project, "deep/down"), { recursive: true });
  process.chdir(join(project, "deep/down"));
});
afterEach(() => {
  process.chdir(before);
  rmSync(project, { recursive: true });
});

test("NAME/PART is a folder of an installed package, in or above the current folder", () => {
  expect(weightsFolder("toys/small")).toBe(join(project, "node_modules/@tensorar/weights-toys/small"));
});

test("NAME alone is a usual part; a published name that is not installed says how to", () => {
  mkdirSync(join(project, "node_modules/@tensorar/weights-toys/tensorar"));
  expect(weightsFolder("toys")).toBe(join(project, "node_modules/@tensorar/weights-toys/tensorar"));
  expect(weightsFolder("toys", "small")).toBe(join(project, "node_modules/@tensorar/weights-toys/small"));
});

test("a path that exists wins, and what can't be a name stays as it is", () => {
  mkdirSync("toys/small", { recursive: true });
  expect(weightsFolder("toys/small")).toBe("toys/small");
  for (const path of ["", "model", "./toys/large", "/toys/small", "runs/a/b", "../toys", "hf://owner/name", "a\\b"])
    expect(weightsFolder(path)).toBe(path);
});

const refusal = (name: string): unknown => {
  try {
    return weightsFolder(name);
  } catch (error) {
    return error;
  }
};

test("an absent package or part is an error that says what is missing", () => {
  const part = refusal("toys/large");
  expect(part).toBeInstanceOf(TensorARError);
  expect(part).toMatchObject({ code: "missing", message: expect.stringMatching(/toys-?.* has no folder "large"/) });
  expect(refusal("runs/base")).toMatchObject({
    code: "missing",
    message: expect.stringMatching(/"runs\/base": there is no such folder.*npm install @tensorar\/weights-runs/),
  });
});
