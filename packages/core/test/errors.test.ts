import { expect, test, vi } from "vitest";
import { describeIssues, quote, ShapeError, TensorARError } from "../src/index";
import { fileError } from "../src/node";

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
  expect(quote(Number.NaN)).toBe("NaN"); // not null, as JSON has it
  expect(quote("x".repeat(1000))).toHaveLength(80);
  expect(quote(12n)).toBe("12");
  expect(quote(JSON.parse("[".repeat(100_000) + "]".repeat(100_000)))).toBe("an object that nests too deep");
});

test("what a schema finds wrong becomes one line with place and value", () => {
  const value = { size: "8", files: { "a.onnx": { inputs: [1, null] } } };
  const message = "expected another";
  expect(describeIssues([{ path: ["size"], message }], value)).toBe('size = "8": expected another');
  expect(describeIssues([{ path: ["files", "a.onnx", "inputs", 1], message }], value)).toBe(
    'files["a.onnx"].inputs[1] = null: expected another',
  );
  expect(describeIssues([{ path: ["files"], message: "two\nlines" }], value)).toBe("files: two lines");
  expect(describeIssues([{ path: ["no", "such"], message }], value)).toBe("no.such = undefined: expected another");
  expect(describeIssues([{ path: [], message }], 3)).toBe("it is 3: expected another");
  const many = describeIssues(new Array(1e5).fill({ path: ["x".repeat(1e5)], message: "y".repeat(1e5) }), value);
  expect(many).toMatch(/; and 99997 more$/);
  expect(many.length).toBeLessThan(1200);
});

test("paths that fill a screen are shortened, in the system's own words too", () => {
  const path = `/data/${"x".repeat(5000)}`;
  const cause = Object.assign(new Error(`ENAMETOOLONG: name too long, open '${path}'`), { code: "ENAMETOOLONG" });
  const { message } = fileError("read", path, cause);
  expect(message).toMatch(/^cannot read "\/data\/x+ … x+": ENAMETOOLONG: name too long, open '\/data\/x+ … x+'; /);
  expect(message.length).toBeLessThan(1000);
});
