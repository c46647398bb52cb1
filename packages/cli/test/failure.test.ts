import { readFile } from "node:fs/promises";
import { TensorARError } from "@tensorar/core";
import { expect, test } from "vitest";
import { describeFailure } from "../src/failure";

const about = { name: "studio", bugs: "https://example.org/issues" };
const abort = new DOMException("stopped", "AbortError");

test("what can be mended is one line", () => {
  const error = new TensorARError("a.json: broken; mend it");
  expect(describeFailure(error, about)).toEqual({ text: "error: a.json: broken; mend it", exitCode: 1 });
});

test("several lines are indented below the first", () => {
  expect(describeFailure(new TensorARError("one\ntwo"), about).text).toBe("error: one\n       two");
});

test("a refusal of the system has no stack", async () => {
  const error = await readFile("/nowhere/at/all").catch((reason: unknown) => reason);
  const { text, exitCode } = describeFailure(error, about);
  expect(text).toBe("error: ENOENT: no such file or directory, open '/nowhere/at/all'");
  expect(exitCode).toBe(1);
});

test.each([
  ["the signal's reason", abort],
  ["an error that it caused", new TensorARError("cannot write x", { cause: abort })],
])("after a signal, %s is no error", (_, error) => {
  expect(describeFailure(error, about, 143)).toEqual({ text: "stopped", exitCode: 143 });
});

test("a failure after a signal stays one", () => {
  expect(describeFailure(new TensorARError("the disk is full"), about, 130)).toEqual({
    text: "error: the disk is full",
    exitCode: 1,
  });
});

test("a bug says where to report it, with its stack", () => {
  const { text, exitCode } = describeFailure(new TypeError("x is undefined"), about);
  expect(text).toMatch(
    /^error: this is a bug in studio \(x is undefined\); please report it at https:\/\/example\.org\/issues/,
  );
  expect(text).toMatch(/\nTypeError: x is undefined\n +at .*failure\.test\.ts/);
  expect(exitCode).toBe(1);
  expect(describeFailure("a string", about).text).toContain("bug in studio (a string)");
});
