import { expect, test } from "vitest";
import { highlight } from "../src/highlight";

const stream = (isTTY: boolean, colors: boolean) => ({ isTTY, hasColors: () => colors });

test("failures are red on terminals with colours alone", () => {
  expect(highlight("error: a: b", stream(true, true))).toBe("\u001b[31merror\u001b[39m: a: b");
  expect(highlight("stopped", stream(true, true))).toBe("stopped");
  expect(highlight("error: a", stream(true, false))).toBe("error: a");
  expect(highlight("error: a", stream(false, true))).toBe("error: a");
});
