import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { checkRuntimes } from "../src/node";

test("runs a graph on each provider of the installed runtime", { timeout: 60_000 }, async () => {
  const [microsofts] = await checkRuntimes([import.meta.url]);
  expect(microsofts).toMatchObject({ name: "onnxruntime-node", version: expect.stringMatching(/^\d+\.\d+\.\d+$/) });
  expect(microsofts?.reason).toBeUndefined();
  expect(microsofts?.details[0]).toBe("cpu works");
  for (const line of microsofts!.details) expect(line).toMatch(/^\w+ (works|does not: \S.*)$/);
});

test("tells providers that fail, compute wrongly or end their process from those that work", async () => {
  const project = realpathSync(mkdtempSync(join(tmpdir(), "runtimes-")));
  onTestFinished(() => rmSync(project, { recursive: true }));
  const home = join(project, "node_modules", "onnxruntime-node");
  mkdirSync(home, { recursive: true });
  writeFileSync(
    join(home, "index.js"),
    `exports.listSupportedBackends = () => ["cpu", "cuda", "webgpu", "dml"].map((name) => ({ name }));
    exports.env = {};
    exports.Tensor = class { constructor(dtype, data, shape) { Object.assign(this, { dtype, data, shape }); } };
    exports.InferenceSession = {
      async create(model, { executionProviders: [name] }) {
        if (name === "cuda") throw new Error("/src/a.cc:12 Create (x): Check failed was false. no device");
        if (name === "webgpu") process.kill(process.pid, "SIGSEGV");
        const data = name === "cpu" ? (x) => x.data : () => [41];
        return { outputNames: ["0.read"], run: async ({ x }) => ({ "0.read": { data: data(x) } }) };
      },
    };`,
  );
  const [runtime] = await checkRuntimes([join(project, "program.js")]);
  expect(runtime?.details).toEqual([
    "cpu works",
    expect.stringMatching(/^cuda does not: no device; install ONNX Runtime's CUDA libraries/),
    expect.stringMatching(/^webgpu does not: it ended the process \(SIG\w+\); it needs a GPU/),
    "dml does not: it computes wrong values; DirectML is a part of Windows",
  ]);
});
