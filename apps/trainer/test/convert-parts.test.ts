import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TensorData } from "@tensorar/checkpoint";
import { readSafetensors, writeSafetensors } from "@tensorar/checkpoint/node";
import { type LlamaGenConfig, llamaGenShapes } from "@tensorar/model";
import { TINY_VQ } from "@tensorar/testing";
import { createTokenizer, OPEN_MAGVIT2_16, type VqConfig } from "@tensorar/tokenizer";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { command } from "../src/commands/convert";
import type { Settings } from "../src/declarations/convert";

// Checkpoints as training scripts write them: which of their parts is taken, and what is said about it. Names of nested keys
// and names with dots are the same here, so safetensors stand for files of PyTorch, which @tensorar/checkpoint tests.

const GPT: LlamaGenConfig = {
  dim: 16,
  n_layer: 2,
  n_head: 2,
  multiple_of: 8,
  vocab_size: 16,
  block_size: 4,
  num_classes: 3,
  model_type: "c2i",
  cls_token_num: 1,
  class_dropout_prob: 0.1,
  caption_dim: 5,
};
const VQ: VqConfig = TINY_VQ;
const LFQ = { ...OPEN_MAGVIT2_16, ch: 32, ch_mult: [1, 1], num_res_blocks: 1, z_channels: 5 };

const gptShapes = llamaGenShapes(GPT);
const vqShapes = createTokenizer({ kind: "vq", config: VQ }).shapes;
const lfqShapes = createTokenizer({ kind: "magvit2", config: LFQ }).shapes;

let dir: string;
let made = 0;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "tensorar parts "));
  await writeFile(join(dir, "gpt.json"), JSON.stringify(GPT));
  await writeFile(join(dir, "vq.json"), JSON.stringify(VQ));
  await writeFile(join(dir, "lfq.json"), JSON.stringify(LFQ));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

type Shapes = Readonly<Record<string, readonly number[]>>;

/** Tensors that are `value` everywhere. */
const filled = (shapes: Shapes, value: number, nameOf = (name: string) => name): Record<string, TensorData> =>
  Object.fromEntries(
    Object.entries(shapes).map(([name, shape]) => {
      const data = new Float32Array(shape.reduce((a, b) => a * b, 1)).fill(value);
      return [nameOf(name), { dtype: "float32", shape, data }];
    }),
  );
const under = (prefix: string) => (name: string) => prefix + name;

async function save(tensors: Record<string, TensorData>): Promise<string> {
  const path = join(dir, `checkpoint ${made++}.safetensors`);
  await writeSafetensors(path, tensors);
  return path;
}

/** Converts, and gives what was printed and the value of the first tensor. */
async function convert(settings: Partial<Settings>, out = join(dir, `out ${made++}`)) {
  const log = vi.spyOn(console, "log").mockImplementation(() => undefined);
  const error = vi.spyOn(console, "error").mockImplementation(() => undefined);
  try {
    await command.run(
      {
        from: "llamagen",
        imageSize: 4,
        textLength: 120,
        cleanCaptions: true,
        overwrite: false,
        output: out,
        ...settings,
      },
      new AbortController().signal,
    );
    const folder = settings.checkpoint === undefined ? join(out, "tokenizer") : out;
    const tensors = await readSafetensors(join(folder, "model.safetensors"));
    return {
      said: log.mock.calls.flat().join("\n"),
      names: Object.keys(tensors),
      value: Object.values(tensors)[0]!.data[0],
      config: JSON.parse(await readFile(join(folder, "config.json"), "utf8")),
    };
  } finally {
    log.mockRestore();
    error.mockRestore();
  }
}
const gpt = (checkpoint: string, more: Partial<Settings> = {}) =>
  convert({ checkpoint, model: join(dir, "gpt.json"), ...more });
const vq = (tokenizer: string, more: Partial<Settings> = {}) =>
  convert({ tokenizer, tokenizerModel: join(dir, "vq.json"), ...more });

describe("the part with all wanted names", () => {
  test("is found wherever it is, and named", async () => {
    const checkpoint = await save({
      ...filled(gptShapes, 3, under("state.gpt.")),
      ...filled(gptShapes, 9, under("optimizer.exp_avg.")),
    });
    const { said, value, names, config } = await gpt(checkpoint);
    expect(said).toContain('took the weights under "state.gpt"');
    expect([value, names.length]).toEqual([3, Object.keys(gptShapes).length]);
    expect(config.training.weights).toBe("state.gpt.");
  });

  test("is chosen by --root, --strip-prefix or --weights where several have them", async () => {
    const checkpoint = await save({
      ...filled(gptShapes, 1, under("best.")),
      ...filled(gptShapes, 2, under("last.m.")),
    });
    await expect(gpt(checkpoint)).rejects.toThrow(
      /2 parts hold all of .*: the weights under "best", the weights under "last.m"; choose one with --weights KEY or --root/,
    );
    expect((await gpt(checkpoint, { root: "last" })).value).toBe(2);
    expect((await gpt(checkpoint, { root: "last", stripPrefix: "m." })).value).toBe(2);
    expect((await gpt(checkpoint, { stripPrefix: "best." })).value).toBe(1);
    expect((await gpt(checkpoint, { weights: "last" })).value).toBe(2);
    await expect(gpt(checkpoint, { root: "worst" })).rejects.toThrow(
      /no tensors under the root "worst"; it holds "best"/,
    );
  });

  test("is said to be missing with the nearest, and what is there", async () => {
    const { "output.weight": _, ...most } = filled(gptShapes, 1, under("net."));
    const { "net.output.weight": output, ...short } = most as Record<string, TensorData>;
    expect(output).toBeDefined();
    const checkpoint = await save({
      ...short,
      "net.other": filled({ a: [2] }, 1).a!,
      "step.a": filled({ a: [1] }, 1).a!,
    });
    const out = join(dir, "nothing");
    await expect(convert({ checkpoint, model: join(dir, "gpt.json") }, out)).rejects.toThrow(
      /is not .*gpt\.json of llamagen; nearest under "net":\n {2}1 missing: "output\.weight" \[16,16\]\n {2}1 unexpected: "other" \[2\]\nit holds "net" \(\d+ tensors\), "step" \(1 tensor\)\n.*--root KEY\.PATH and --strip-prefix/,
    );
    await expect(readdir(out)).rejects.toThrow(/ENOENT/);
  });

  test("may have integers and single numbers beside, but no weights of another model", async () => {
    const beside: Record<string, TensorData> = {
      step: { dtype: "int64", shape: [1], data: BigInt64Array.of(7n) },
      loss: { dtype: "float32", shape: [], data: Float32Array.of(0.5) },
    };
    const { said, names } = await gpt(await save({ ...filled(gptShapes, 1), ...beside }));
    expect(said).toContain('left out, as no weights: "step" (int64), "loss" (float32)');
    expect(names.length).toBe(Object.keys(gptShapes).length);
    const deeper = await save(filled(llamaGenShapes({ ...GPT, n_layer: 3 }), 1));
    await expect(gpt(deeper)).rejects.toThrow(/is not .*:\n {2}7 unexpected: "layers\.2\./);
  });
});

describe("a moving average beside the weights", () => {
  const both = (shapes: Shapes) => save({ ...filled(shapes, 1, under("model.")), ...filled(shapes, 2, under("ema.")) });

  test("is LlamaGen's choice for tokenizers, not for models; --weights chooses", async () => {
    const tokenizer = await both(vqShapes);
    const { said, value } = await vq(tokenizer);
    expect(value).toBe(2);
    expect(said).toMatch(
      /took the moving average under "ema", as the original does; also there: the weights under "model" \(--weights model\)/,
    );
    expect((await vq(tokenizer, { weights: "model" })).value).toBe(1);
    expect((await vq(tokenizer, { root: "model" })).value).toBe(1);
    const model = await both(gptShapes);
    const usual = await gpt(model);
    expect(usual.value).toBe(1);
    expect(usual.said).toMatch(/took the weights under "model", as the original does; .*\(--weights ema\)/);
    expect((await gpt(model, { weights: "ema" })).value).toBe(2);
  });

  test("is taken where it is alone, and asked for in vain where it is not there", async () => {
    expect((await gpt(await save(filled(gptShapes, 2, under("ema."))))).value).toBe(2);
    const plain = await save(filled(gptShapes, 1));
    await expect(gpt(plain, { weights: "ema" })).rejects.toThrow(
      /no .*gpt\.json of llamagen is there as --weights ema; found: the weights at the top/,
    );
  });

  test("of Open-MAGVIT2's tokenizer lies inside, under names without dots", async () => {
    const squash = (name: string) => `state_dict.model_ema.${name.replaceAll(".", "")}`;
    const tokenizer = await save({
      ...filled(lfqShapes, 1, under("state_dict.")),
      ...filled(lfqShapes, 2, squash),
      ...filled({ "loss.discriminator.w": [2] }, 5, under("state_dict.")),
      ...filled({ lossdiscriminatorw: [2], decay: [] }, 5, under("state_dict.model_ema.")),
    });
    const settings = { from: "magvit2" as const, tokenizer, tokenizerModel: join(dir, "lfq.json") };
    const { value, said } = await convert(settings);
    expect(value).toBe(2);
    expect(said).toContain('took the moving average under "state_dict.model_ema", as the original does');
    expect((await convert({ ...settings, weights: "model" })).value).toBe(1);
  });
});

test("what is there is not replaced but with --overwrite, and stays where converting fails", async () => {
  const out = join(dir, "kept");
  const [first, second] = [await save(filled(gptShapes, 1)), await save(filled(gptShapes, 2))];
  const settings = { model: join(dir, "gpt.json") };
  await convert({ ...settings, checkpoint: first }, out);
  await expect(convert({ ...settings, checkpoint: second }, out)).rejects.toThrow(
    /exists and is not empty; give --overwrite/,
  );
  const wrong = await save(filled({ a: [1] }, 1));
  await expect(convert({ ...settings, checkpoint: wrong, overwrite: true }, out)).rejects.toThrow(/is not/);
  expect(Object.values(await readSafetensors(join(out, "model.safetensors")))[0]!.data[0]).toBe(1);
  await writeFile(join(out, "log.jsonl"), "");
  await expect(convert({ ...settings, checkpoint: second, overwrite: true }, out)).rejects.toThrow(
    /holds "log\.jsonl"/,
  );
  await rm(join(out, "log.jsonl"));
  // A tokenizer alone goes beside the model.
  const tokenizer = await save(filled(vqShapes, 3));
  await convert({ tokenizer, tokenizerModel: join(dir, "vq.json") }, out);
  expect((await convert({ ...settings, checkpoint: second, overwrite: true }, out)).value).toBe(2);
  expect((await readdir(out)).sort()).toEqual(["checksums.txt", "config.json", "model.safetensors"]);
});
