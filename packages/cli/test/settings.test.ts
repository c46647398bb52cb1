import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { z } from "zod";
import { decimal, defineCommand, oneOrMore, readSettings, whole } from "../src/index";

const command = defineCommand({
  name: "paint",
  description: "paint something",
  schema: z.strictObject({
    input: z.string().describe("a picture"),
    out: z.string().describe("a folder"),
    count: whole(1, 100).default(3).describe("how many"),
    scale: oneOrMore(decimal(10)).default(1).describe("a factor, or several"),
    sizes: z.array(whole(1, 64)).default([8]).describe("sizes"),
    names: z.array(z.string()).default([]).describe("names"),
    format: z.enum(["png", "jpeg"]).optional().describe("format"),
    resume: z.boolean().default(false).describe("go on"),
    preset: z.enum(["large"]).optional().describe("other settings"),
  }),
  argument: "input",
  defaults: ({ preset }) => (preset === "large" ? { count: 50, scale: [2, 4] } : {}),
  load: async () => ({ run: async () => {} }),
});

const read = (...args: string[]) => readSettings(command, ["in.png", "--out", "o", ...args]);
const refusal = async (...args: string[]): Promise<string> => {
  const error = await readSettings(command, args).then(
    () => undefined,
    (reason: Error) => reason,
  );
  expect(error).toMatchObject({ name: "TensorARError" });
  return error!.message;
};
const refused = (...args: string[]) => refusal("in.png", "--out", "o", ...args);

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "tensorar cli "));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

async function config(value: unknown): Promise<string> {
  const path = join(dir, `${Math.random()}.json`);
  await writeFile(path, typeof value === "string" ? value : JSON.stringify(value));
  return path;
}

test("defaults, and values of every kind", async () => {
  expect(await read()).toEqual({
    input: "in.png",
    out: "o",
    count: 3,
    scale: 1,
    sizes: [8],
    names: [],
    resume: false,
  });
  expect(await read("--count", "007", "--scale=2.5e-1", "--format", "jpeg", "--resume")).toMatchObject({
    count: 7,
    scale: 0.25,
    format: "jpeg",
    resume: true,
  });
  expect(await read("--resume", "--no-resume")).toMatchObject({ resume: false });
  expect(await read("--count", "1", "--count", "2")).toMatchObject({ count: 2 });
});

test("lists: with commas, with blanks, and a single value where one is enough", async () => {
  expect(await read("--sizes", "1, 2", "3", "--scale", "1,.5")).toMatchObject({ sizes: [1, 2, 3], scale: [1, 0.5] });
  expect(await read("--sizes", "4", "--sizes=5")).toMatchObject({ sizes: [4, 5] });
  expect(await read("--names", "a b", "c")).toMatchObject({ names: ["a b", "c"] });
  expect(await refused("--sizes", "1,", "--names", "")).toBe(
    '--sizes "1,": a part of the list is empty; must be a whole number from 1 to 64, or several with commas between them\n' +
      '--names "": empty; must be texts with commas between them',
  );
});

test("what follows `--`, and values that begin with a dash", async () => {
  expect(await readSettings(command, ["--out", "o", "--", "--odd.png"])).toMatchObject({ input: "--odd.png" });
  expect(await readSettings(command, ["--names", "a", "--out", "-o", "--", "b"])).toMatchObject({
    input: "b",
    out: "-o",
    names: ["a"],
  });
  expect(await refused("--count", "-1")).toBe("--count -1: must be a whole number from 1 to 100");
});

test("unknown flags are told of first, all of them, and what was meant", async () => {
  expect(await refusal("--cuont", "x", "--num-images", "3", "--zzz", "--outputDir=x")).toBe(
    [
      "unknown flag --cuont; did you mean --count?",
      "unknown flag --num-images; did you mean --count?",
      "unknown flag --zzz",
      "unknown flag --outputDir; did you mean --out?",
    ].join("\n"),
  );
});

test("all that is missing, and bad values beside it", async () => {
  expect(await refusal()).toBe("missing required INPUT, --out");
  expect(await refusal("--format", "gif", "--count", "101")).toBe(
    '--count 101: must be a whole number from 1 to 100\n--format "gif": must be one of png, jpeg\nmissing required INPUT, --out',
  );
});

test("a flag without its value", async () => {
  expect(await refusal("in.png", "--out")).toBe("--out: needs a value");
  expect(await refusal("in.png", "--out", "--count", "3")).toContain("needs a value, not the flag --count");
  expect(await refused("--resume=yes")).toBe('--resume "yes": takes no value; give --resume or --no-resume');
  expect(await refused("--no-resume=yes")).toContain("--resume: takes no value");
  expect(await refused("more.png")).toContain(
    'unexpected argument "more.png"; settings are given as flags, see --help',
  );
});

test("a file of settings, which flags override", async () => {
  const path = await config({ out: "there", count: 9, scale: [1, 2], resume: true });
  expect(await readSettings(command, ["in.png", "--config", path, "--count", "4"])).toMatchObject({
    out: "there",
    count: 4,
    scale: [1, 2],
    resume: true,
  });
});

test("a file with values of other kinds names itself, the key and the flag", async () => {
  const path = await config({ out: " ", count: "9", bathc: 1, __proto__x: 2 });
  expect(await refusal("in.png", "--config", path)).toBe(
    [
      `${path}: "count" = "9" (--count): must be a whole number from 1 to 100`,
      `${path}: unknown key "bathc"; known keys: ${Object.keys(command.schema.shape).join(", ")}`,
      `${path}: unknown key "__proto__x"; known keys: ${Object.keys(command.schema.shape).join(", ")}`,
      `${path}: "out" = " " (--out): empty; must be a text that is not blank`,
    ].join("\n"),
  );
  expect(await refusal("in.png", "--config", await config("[1]"))).toContain("must hold a JSON object of settings");
  expect(await refusal("in.png", "--config", await config('{"count": 1'))).toContain("not valid JSON");
  expect(await refusal("in.png", "--config", join(dir, "nowhere.json"))).toContain("there is no such file");
  expect(await refused("--config=")).toBe("--config: empty; must be the name of a JSON file");
});

test("a preset fills in what is not given", async () => {
  expect(await read("--preset", "large", "--count", "4")).toMatchObject({ count: 4, scale: [2, 4] });
  expect(await refused("--preset", "constructor")).toBe('--preset "constructor": must be one of large');
});
