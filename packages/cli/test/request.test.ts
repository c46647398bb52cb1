import { expect, test } from "vitest";
import { z } from "zod";
import { defineCommand, type Program, readRequest, whole } from "../src/index";

const paint = defineCommand({
  name: "paint",
  description: "paint something",
  schema: z.strictObject({
    dir: z.string().describe("where the picture is"),
    colour: z.enum(["red", "blue"]).describe("of the paint"),
    batchSize: whole(1, 9).default(3).describe("pictures at a time"),
    fast: z.boolean().default(true).describe("hurry"),
  }),
  argument: "dir",
  load: async () => ({ run: async () => {} }),
});
const program: Program = {
  name: "studio",
  description: "Paints.",
  version: "1.2.3",
  bugs: "https://example.org",
  commands: [paint, { ...paint, name: "sample", description: "draw something" }],
};

async function printed(...args: string[]): Promise<string> {
  const request = await readRequest(program, args);
  return request.kind === "print" ? request.text : expect.fail("the command would run");
}

test("help of the program: alone, by flag, by name", async () => {
  const help = await printed();
  expect(help).toMatch(/Usage: studio COMMAND.*Paints\..*paint +paint something.*sample +draw something/s);
  expect(await printed("--help")).toBe(help);
  expect(await printed("-h")).toBe(help);
  expect(await printed("help")).toBe(help);
});

test("help of a command marks what is required, and gives defaults", async () => {
  const help = await printed("paint", "--help");
  expect(help).toContain("Usage: studio paint DIR --colour <red|blue> [settings]");
  expect(help).toMatch(
    /Required:\n +--dir <value> .*also without the flag, as DIR\)\n +--colour <red\|blue> .*of the paint/,
  );
  expect(help).toMatch(
    /Settings:\n +--batch-size <n> +pictures at a time \(default: 3\)\n +--fast +hurry \(default: on; --no-fast\)/,
  );
  expect(await printed("paint", "x", "--batch-size", "nonsense", "-h")).toBe(help);
  expect(await printed("help", "paint")).toBe(help);
});

test("the version", async () => {
  expect(await printed("--version")).toBe("1.2.3");
  expect(await printed("-V")).toBe("1.2.3");
});

test.each([
  [["sampel", "--help"], 'unknown command "sampel"; did you mean sample?'],
  [["generate"], 'unknown command "generate"; did you mean sample?'],
  [["help", "pant"], 'unknown command "pant"; did you mean paint?'],
  [["xyzzy"], 'unknown command "xyzzy"; commands are paint, sample'],
  [["--colour", "red", "paint"], "unknown flag --colour; give a command first, see `studio --help`"],
  [["constructor"], 'unknown command "constructor"; commands are paint, sample'],
])("%j is no command", async (args, message) => {
  await expect(readRequest(program, args)).rejects.toThrow(message);
});

test("what runs", async () => {
  expect(await readRequest(program, ["paint", "d", "--colour", "red"])).toEqual({
    kind: "run",
    command: paint,
    settings: { dir: "d", colour: "red", batchSize: 3, fast: true },
  });
});
