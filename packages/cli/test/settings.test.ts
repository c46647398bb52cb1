import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { z } from "zod";
import { decimal, defineCommand, oneOrMore, onlyWith, readSettings, whole } from "../src/index";

const command = defineCommand({
  name: "paint",
  description: "paint something",
  schema: z.strictObject({
    input: z.string().describe("a picture"),
    output: z.string().describe("a folder"),
    numImages: whole(1, 100).default(3).describe("how many"),
    cfgScale: oneOrMore(decimal(10)).default(1).describe("a factor, or several"),
    sizes: z.array(whole(1, 64)).default([8]).describe("sizes"),
    names: z.array(z.string()).default([]).describe("names"),
    format: z.enum(["png", "jpeg"]).optional().describe("format"),
    resume: z.boolean().default(false).describe("go on"),
    preset: z.enum(["large"]).optional().describe("other settings"),
  }),
  argument: "input",
  defaults: ({ preset }) => (preset === "large" ? { numImages: 50, cfgScale: [2, 4] } : {}),
  load: async () => ({ run: async () => {} }),
});

const read = (...args: string[]) => readSettings(command, ["in.png", "--output", "o", ...args]);
const refusal = async (...args: string[]): Promise<string> => {
  const error = await readSettings(command, args).then(
    () => undefined,
    (reason: Error) => reason,
  );
  expect(error).toMatchObject({ name: "TensorARError" });
  return error!.message;
};
const refused = (...args: string[]) => refusal("in.png", "--output", "o", ...args);

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
    output: "o",
    numImages: 3,
    cfgScale: 1,
    sizes: [8],
    names: [],
    resume: false,
  });
  expect(await read("--num-images", "007", "--cfg-scale=2.5e-1", "--format", "jpeg", "--resume")).toMatchObject({
    numImages: 7,
    cfgScale: 0.25,
    format: "jpeg",
    resume: true,
  });
  expect(await read("--resume", "--no-resume")).toMatchObject({ resume: false });
  expect(await read("--num-images", "1", "--num-images", "2")).toMatchObject({ numImages: 2 });
});

test("lists: with commas, with blanks, and a single value where one is enough", async () => {
  expect(await read("--sizes", "1, 2", "3", "--cfg-scale", "1,.5")).toMatchObject({
    sizes: [1, 2, 3],
    cfgScale: [1, 0.5],
  });
  expect(await read("--sizes", "4", "--sizes=5")).toMatchObject({ sizes: [4, 5] });
  expect(await read("--names", "a b", "c")).toMatchObject({ names: ["a b", "c"] });
  expect(await refused("--sizes", "1,", "--names", "")).toBe(
    '--sizes "1,": a part of the list is empty; must be a whole number from 1 to 64, or several with commas between them\n' +
      '--names "": empty; must be texts with commas between them',
  );
});

test("what follows `--`, and values that begin with a dash", async () => {
  expect(await readSettings(command, ["--output", "o", "--", "--odd.png"])).toMatchObject({ input: "--odd.png" });
  expect(await readSettings(command, ["--names", "a", "--output", "-o", "--", "b"])).toMatchObject({
    input: "b",
    output: "-o",
    names: ["a"],
  });
  expect(await refused("--num-images", "-1")).toBe("--num-images -1: must be a whole number from 1 to 100");
});

test("unknown flags are told of first, all of them, and what was meant", async () => {
  expect(await refusal("--fromat", "x", "--n-images", "3", "--zzz", "--sampleDir=x")).toBe(
    [
      "unknown flag --fromat; did you mean --format?",
      "unknown flag --n-images; did you mean --num-images?",
      "unknown flag --zzz",
      "unknown flag --sampleDir; did you mean --output?",
    ].join("\n"),
  );
});

test("all that is missing, and bad values beside it", async () => {
  expect(await refusal()).toBe("missing required INPUT, --output");
  expect(await refusal("--format", "gif", "--num-images", "101")).toBe(
    '--num-images 101: must be a whole number from 1 to 100\n--format "gif": must be one of png, jpeg\nmissing required INPUT, --output',
  );
});

test("names of earlier versions are taken, and noted for flags", async () => {
  const notes = vi.spyOn(console, "error").mockImplementation(() => {});
  const path = await config({ scale: [1, 2], count: 9 });
  const given = ["in.png", "--out", "-o", "--out=p", "--count", "4", "--config", path];
  expect(await readSettings(command, given)).toMatchObject({ output: "p", numImages: 4, cfgScale: [1, 2] });
  expect(notes.mock.calls.flat()).toEqual([
    "note: --out is called --output now",
    "note: --count is called --num-images now",
  ]);
  notes.mockRestore();
  expect(await refusal("in.png", "--out", "--scale", "3")).toContain("needs a value, not the flag --scale");
});

test("an earlier name that another setting has is that setting's", async () => {
  const schema = z.strictObject({ numImages: whole(1), count: whole(1) });
  const counting = defineCommand({
    name: "count",
    description: "",
    schema,
    load: async () => ({ run: async () => {} }),
  });
  expect(await readSettings(counting, ["--count", "2", "--num-images", "3"])).toEqual({ numImages: 3, count: 2 });
});

test("a flag without its value", async () => {
  expect(await refusal("in.png", "--output")).toBe("--output: needs a value");
  expect(await refusal("in.png", "--output", "--num-images", "3")).toContain(
    "needs a value, not the flag --num-images",
  );
  expect(await refused("--resume=yes")).toBe('--resume "yes": takes no value; give --resume or --no-resume');
  expect(await refused("--no-resume=yes")).toContain("--resume: takes no value");
  expect(await refused("more.png")).toContain(
    'unexpected argument "more.png"; settings are given as flags, see --help',
  );
});

test("a file of settings, which flags override", async () => {
  const path = await config({ output: "there", numImages: 9, cfgScale: [1, 2], resume: true });
  expect(await readSettings(command, ["in.png", "--config", path, "--num-images", "4"])).toMatchObject({
    output: "there",
    numImages: 4,
    cfgScale: [1, 2],
    resume: true,
  });
});

test("a file with values of other kinds names itself, the key and the flag", async () => {
  const path = await config({ output: " ", numImages: "9", bathc: 1, __proto__x: 2 });
  expect(await refusal("in.png", "--config", path)).toBe(
    [
      `${path}: "numImages" = "9" (--num-images): must be a whole number from 1 to 100`,
      `${path}: unknown key "bathc"; known keys: ${Object.keys(command.schema.shape).join(", ")}`,
      `${path}: unknown key "__proto__x"; known keys: ${Object.keys(command.schema.shape).join(", ")}`,
      `${path}: "output" = " " (--output): empty; must be a text that is not blank`,
    ].join("\n"),
  );
  expect(await refusal("in.png", "--config", await config("[1]"))).toContain("must hold a JSON object of settings");
  expect(await refusal("in.png", "--config", await config('{"numImages": 1'))).toContain("not valid JSON");
  expect(await refusal("in.png", "--config", join(dir, "nowhere.json"))).toContain("there is no such file");
  expect(await refused("--config=")).toBe("--config: empty; must be the name of a JSON file");
});

test("a preset fills in what is not given", async () => {
  expect(await read("--preset", "large", "--num-images", "4")).toMatchObject({ numImages: 4, cfgScale: [2, 4] });
  expect(await refused("--preset", "constructor")).toBe('--preset "constructor": must be one of large');
});

test("settings without effect are refused, unless a file holds them as they are by default", async () => {
  const noising = defineCommand({
    name: "noise",
    description: "",
    schema: z.strictObject({
      kind: z.enum(["flat", "steep"]).default("flat").describe("of noise"),
      window: whole(1, 9).default(1).describe("tokens"),
      base: z.string().optional().describe("file"),
      ...onlyWith(
        { window: { least: 2 } },
        {
          blank: z.boolean().default(true).describe("leaves blanks"),
          ...onlyWith({ kind: ["steep"] }, { rate: decimal(9).default(1).describe("of noise") }),
        },
      ),
      ...onlyWith({ base: true, blank: true }, { names: z.array(z.string()).default([]).describe("names") }),
      ...onlyWith({ base: false }, { width: whole(1, 9).default(3).describe("of layers") }),
    }),
    load: async () => ({ run: async () => {} }),
  });
  const refuse = async (...args: string[]) => {
    const error = await readSettings(noising, args).catch((reason: Error) => reason);
    return error instanceof Error ? error.message : expect.fail("it was taken");
  };
  const and = "; give both, or leave it out";
  expect(await refuse("--rate", "2")).toBe(`--rate 2 has no effect without --kind steep${and}`);
  expect(await refuse("--rate", "1", "--kind", "steep")).toBe(
    `--rate 1 has no effect without --window 2 or more${and}`,
  );
  expect(await refuse("--no-blank")).toBe(`--no-blank has no effect without --window 2 or more${and}`);
  expect(await refuse("--width", "2", "--base", "b")).toBe(
    "--width 2 has no effect with --base; leave one of them out",
  );
  expect(await refuse("--window", "2", "--no-blank", "--names", "a", "b")).toBe(
    `--names "a,b" has no effect without --base or --blank${and}`,
  );
  expect(await readSettings(noising, ["--window", "2", "--kind", "steep", "--rate", "2"])).toMatchObject({ rate: 2 });
  const path = await config({ kind: "flat", rate: 1, blank: true, width: 3, base: "b", names: [] });
  expect(await readSettings(noising, ["--config", path])).toMatchObject({ rate: 1, window: 1 });
  const other = await config({ rate: 2 });
  expect(await refuse("--config", other)).toBe(
    `${other}: "rate" = 2 (--rate) has no effect without --kind steep${and}`,
  );
});
