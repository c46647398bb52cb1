import { execFileSync, spawnSync } from "node:child_process";
import { expect, test } from "vitest";
import { z } from "zod";
import { completionCommand, completionScript, defineCommand, type Program, readSettings, whole } from "../src/index";

const load = async () => ({ run: async () => {} });
const program: Program = {
  name: "art-studio",
  description: "Paints.",
  version: "1.2.3",
  bugs: "https://example.org",
  commands: [
    defineCommand({
      name: "paint",
      description: "it's painted: something",
      schema: z.strictObject({
        input: z.string().describe("picture [PNG]: it's read"),
        kind: z.enum(["round", "square"]).optional().describe("of brush"),
        sizes: z.array(whole(1, 9)).default([1]).describe("of brushes"),
        fast: z.boolean().default(true).describe("hurry"),
      }),
      load,
    }),
    completionCommand(() => program),
  ],
};

const isThere = (shell: string) => spawnSync(shell, ["--version"]).status === 0;

/** What bash offers for the last word. */
function inBash(...words: string[]): string[] {
  const script = `${completionScript(program, "bash")}
COMP_WORDS=(art-studio "$@"); COMP_CWORD=$#; _art_studio; printf '%s\\n' "\${COMPREPLY[@]}"`;
  return execFileSync("bash", ["-c", script, "bash", ...words], { encoding: "utf8" })
    .split("\n")
    .filter(Boolean);
}

test("bash completes commands, flags and their values, and leaves files to itself", () => {
  expect(inBash("")).toEqual(["paint", "completion", "--help", "--version"]);
  expect(inBash("pa")).toEqual(["paint"]);
  expect(inBash("paint", "--")).toEqual(
    ["input", "kind", "sizes", "fast", "no-fast", "config", "help"].map((flag) => `--${flag}`),
  );
  expect(inBash("paint", "--kind", "")).toEqual(["round", "square"]);
  expect(inBash("paint", "--input", "x")).toEqual([]);
  expect(inBash("completion", "")).toEqual(expect.arrayContaining(["bash", "zsh", "fish"]));
  expect(inBash("completion", "z")).toEqual(["zsh"]);
});

test.skipIf(!isThere("fish"))("fish completes the same, with descriptions", () => {
  const offered = (line: string) =>
    execFileSync("fish", ["--no-config", "-c", `${completionScript(program, "fish")}\ncomplete -C '${line}'`], {
      encoding: "utf8",
    });
  expect(offered("art-studio pa")).toBe("paint\tit's painted: something\n");
  expect(offered("art-studio paint --in")).toBe("--input\tpicture [PNG]: it's read\n");
  expect(offered("art-studio paint --kind s").trim().split("\t")[0]).toBe("square");
  expect(offered("art-studio completion z")).toContain("zsh");
});

test.skipIf(!isThere("zsh"))("zsh takes the script", () => {
  const script = completionScript(program, "zsh");
  const run = spawnSync(
    "zsh",
    ["-f", "-c", `autoload -Uz compinit; compinit -D; ${script}\nprint $_comps[art-studio]`],
    {
      encoding: "utf8",
    },
  );
  expect(run).toMatchObject({ status: 0, stdout: "_art_studio\n", stderr: "" });
});

test("shells that there is no script for are refused", async () => {
  const command = completionCommand(() => program);
  await expect(readSettings(command, ["tcsh"])).rejects.toThrow('--shell "tcsh": must be one of bash, zsh, fish');
});
