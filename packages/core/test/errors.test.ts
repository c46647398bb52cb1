import { expect, test, vi } from "vitest";
import { quote, ShapeError, TensorARError } from "../src/index";

test("instanceof knows errors of another copy of the package, and their kind", async () => {
  vi.resetModules();
  const copy = await import("../src/index");
  expect(copy.TensorARError).not.toBe(TensorARError);
  const error = new copy.TensorARError("a.json: no", { code: "missing" });
  expect(error).toBeInstanceOf(TensorARError);
  expect(error).not.toBeInstanceOf(ShapeError);
  expect(new copy.ShapeError("[2] is not [3]")).toBeInstanceOf(ShapeError);
  expect([error.name, error.code, new ShapeError("x").code]).toEqual(["TensorARError", "missing", "shape"]);
});

test.each([new Error("x"), new RangeError("x"), null, undefined, "TensorARError", { name: "TensorARError" }])(
  "%s is none",
  (value) => expect(value instanceof TensorARError).toBe(false),
);

test("cause and stack are kept, and an uncaught one prints its message", () => {
  const cause = new Error("inner");
  expect(new TensorARError("outer", { cause })).toMatchObject({ cause, message: "outer", code: "invalid" });
  expect(String(new TensorARError("outer"))).toBe("TensorARError: outer");
});

test("quote cuts what a hostile file makes long", () => {
  expect(quote("a\n")).toBe('"a\\n"');
  expect(quote(undefined)).toBe("undefined");
  expect(quote("x".repeat(1000))).toHaveLength(80);
});
