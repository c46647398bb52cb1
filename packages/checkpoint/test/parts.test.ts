import { describe, expect, test } from "vitest";
import { findParts, isAveraged, openTorchBytes } from "../src/index";
import { pickle, tensor, text, torchZip } from "./torch-writer";

const raw = (codes: string) => Buffer.from(codes, "latin1");
const bytes = new Uint8Array(Float32Array.from({ length: 24 }, (_, i) => i).buffer);
const view = (...shape: number[]) => tensor({ name: "", key: "0", type: "FloatStorage", storageElements: 24, shape });
const dict = (items: Readonly<Record<string, Buffer>>) =>
  Buffer.concat([raw("}("), ...Object.entries(items).flatMap(([name, value]) => [text(name), value]), raw("u")]);
const open = (value: Buffer) => openTorchBytes(torchZip(pickle(value), { 0: bytes }), { root: "" }, "w.pt");

const wanted = { "layers.0.w": [2, 3], "layers.1.w": [2, 3], "head.w": [3] };
const weights = (prefix = "", change: Readonly<Record<string, number[]>> = {}) =>
  Object.fromEntries(Object.entries({ ...wanted, ...change }).map(([name, shape]) => [prefix + name, view(...shape)]));
const prefixes = async (value: Buffer) => findParts(await open(value), wanted).fitting.map(({ prefix }) => prefix);

describe("findParts", () => {
  test.each<[string, Buffer, string[]]>([
    ["at the top", dict(weights()), [""]],
    ["under a key", dict({ net: dict(weights()), epoch: view(1) }), ["net."]],
    ["under keys of keys", dict({ state: dict({ model_state_dict: dict(weights()) }) }), ["state.model_state_dict."]],
    ["in a tuple", Buffer.concat([raw("("), dict({ a: view(2) }), dict(weights()), raw("t")]), ["1."]],
    ["in a list", Buffer.concat([raw("]("), dict(weights()), view(2), raw("e")]), ["0."]],
    ["in an attribute", dict({ state_dict: dict({ ...weights("model."), "loss.w": view(4) }) }), ["state_dict.model."]],
    ["in wrapped modules", dict({ "module.layers.0._orig_mod.w": view(2, 3), "module.layers._fsdp_wrapped_module.1.w": view(2, 3), "_orig_mod.head.w": view(3) }), [""]],
    ["beside an optimizer's moments of the same names", dict({ model: dict(weights()), optimizer: dict({ exp_avg: dict(weights()) }) }), ["model."]],
    ["twice", dict({ model: dict(weights()), ema: dict(weights()), steps: view(1) }), ["model.", "ema."]],
    ["of other shapes", dict({ net: dict(weights("", { "head.w": [4] })) }), []],
    ["in part", dict({ net: dict({ "layers.0.w": view(2, 3) }) }), []],
  ])("finds tensors %s", async (_, value, expected) => {
    expect(await prefixes(value)).toEqual(expected);
  }); // biome-ignore format: a table

  test("says how the nearest differs", async () => {
    const near = { "layers.0.w": view(2, 3), "layers.1.w": view(6), "tail.w": view(3) };
    const complex = tensor({ name: "", key: "1", type: "ComplexFloatStorage", storageElements: 3, shape: [3] });
    const file = await open(dict({ other: dict({ "head.w": view(3) }), net: dict({ ...near, "head.w": complex }) }));
    expect(findParts(file, wanted)).toMatchObject({
      fitting: [],
      nearest: { prefix: "net.", missing: [], misshapen: ["layers.1.w"], unreadable: ["head.w"] },
    });
  });

  test("finds the average of LitEma, whose names have no dots, with live values of what it lacks", async () => {
    const shadow = { "model_ema.layers0w": view(2, 3), "model_ema.layers1w": view(2, 3), "model_ema.decay": view() };
    const file = await open(dict({ state_dict: dict({ ...weights(), ...shadow }) }));
    const [live, average] = findParts(file, wanted).fitting;
    expect(live).toMatchObject({ prefix: "state_dict.", averaged: false });
    expect(average).toMatchObject({ prefix: "state_dict.model_ema.", averaged: true, of: live });
    expect([...average!.names]).toEqual([
      ["layers.0.w", "state_dict.model_ema.layers0w"],
      ["layers.1.w", "state_dict.model_ema.layers1w"],
      ["head.w", "state_dict.head.w"],
    ]);
  });

  test("finds LitEma's average of a module around the model", async () => {
    const squashed = Object.fromEntries(
      Object.entries(wanted).map(([name, shape]) => [`model_ema.net${name.replaceAll(".", "")}`, view(...shape)]),
    );
    const file = await open(dict({ ...weights("net."), ...squashed }));
    expect(findParts(file, wanted).fitting.map(({ prefix }) => prefix)).toEqual(["net.", "model_ema."]);
  });
});

test.each<[string, boolean]>([
  ["ema.", true],
  ["model_ema.", true],
  ["ema_0.9999.model.", true],
  ["state_dict_ema.", true],
  ["swa_model.", true],
  ["model.", false],
  ["schema.", false],
  ["email.", false],
])("%s is an average: %s", (prefix, expected) => {
  expect(isAveraged(prefix)).toBe(expected);
});
