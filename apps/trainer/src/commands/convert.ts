import { mkdir } from "node:fs/promises";
import { basename, join } from "node:path";
import { TensorARError } from "@tensorar/core";
import { writeFileAtomic } from "@tensorar/core/node";
import { createTokenizer, type TokenizerSpec } from "@tensorar/tokenizer";
import { z } from "zod";
import type { CommandBody } from "../command";
import { copyPromptTokenizer, takesPrompts } from "../conditions/prompts";
import { convertTensors } from "../conversion/convert-tensors";
import { FAMILIES, type Family } from "../conversion/families";
import { localSource } from "../conversion/local-source";
import type { Settings } from "../declarations/convert";
import { readChecked } from "../folders/checked-json";

export const command: CommandBody<Settings> = {
  async run(settings) {
    const family: Family = FAMILIES[settings.from];
    if (settings.checkpoint === undefined && settings.tokenizer === undefined)
      throw new TensorARError("nothing to convert; give a checkpoint, --tokenizer, or both");
    const imageSize = imageSizeOf(settings);
    const [checkpoint, tokenizer] = [await localSource(settings.checkpoint), await localSource(settings.tokenizer)];
    if (checkpoint !== undefined) await convertModel(family, checkpoint, imageSize, settings);
    if (tokenizer !== undefined) await convertTokenizer(family, tokenizer, imageSize, settings);
    console.log(`written to ${settings.out}`);
  },
};

/** The only one that there is. */
const JANUS_IMAGE_SIZE = 384;

/** The weights are the same at every size, so only the file's name can tell. */
function imageSizeOf({ from, imageSize, checkpoint, tokenizer }: Settings): number {
  if (from === "janus") return imageSize ?? JANUS_IMAGE_SIZE;
  const named = /(?<!\d)(256|384|512)(?!\d)/.exec(basename(checkpoint ?? tokenizer ?? ""))?.[0];
  if (imageSize !== undefined || named !== undefined) return imageSize ?? Number(named);
  throw new TensorARError(
    `the name of ${checkpoint ?? tokenizer} does not say the image size; give --image-size 256, 384 or 512`,
  );
}

async function convertModel(family: Family, source: string, imageSize: number, settings: Settings): Promise<void> {
  const { from, model = "", out, precision } = settings;
  const own = await configFile(model);
  const config = own ?? choose(family.sizes, model, `--model of ${from}`)(imageSize);
  const backbone = family.model(config);
  await mkdir(out, { recursive: true });
  await convertTensors(join(out, "model.safetensors"), {
    ...{ source, shapes: backbone.shapes, prefix: family.modelPrefix, ignored: family.ignored },
    ...{ what: `${model} of ${from}`, dtype: precision },
  });
  const side = Math.sqrt(backbone.tokens);
  await writeJson(join(out, "config.json"), {
    kind: from,
    backbone: config,
    tensorar: { windowSize: 1, depth: 1, structure: "maps" },
    noiseRates: [0],
    grid: [side, side],
    classes: Array.from({ length: Math.max(0, backbone.nullCondition) }, (_, i) => String(i)),
    training: { convertedFrom: basename(source) },
  });
  if (takesPrompts(backbone)) await copyPromptTokenizer(source, out);
}

async function convertTokenizer(family: Family, source: string, imageSize: number, settings: Settings): Promise<void> {
  const { from, out, precision, tokenizerModel = Object.keys(family.tokenizers)[0]! } = settings;
  const [usual] = Object.values(family.tokenizers) as [TokenizerSpec];
  const own = await configFile(tokenizerModel);
  const spec = own
    ? ({ kind: usual.kind, config: own } as unknown as TokenizerSpec) // checked by createTokenizer
    : choose(family.tokenizers, tokenizerModel, `--tokenizer-model of ${from}`);
  const { shapes, gridOf } = createTokenizer(spec);
  gridOf(imageSize);
  const dir = join(out, "tokenizer");
  await mkdir(dir, { recursive: true });
  await convertTensors(join(dir, "model.safetensors"), {
    ...{ source, shapes, prefix: family.tokenizerPrefix, ignored: family.ignored },
    ...{ what: `${tokenizerModel} of ${from}`, dtype: precision },
  });
  await writeJson(join(dir, "config.json"), { ...spec, imageSize, training: { convertedFrom: basename(source) } });
}

/** What a JSON file holds; undefined for what is no file's name. */
const configFile = async (name: string): Promise<object | undefined> =>
  name.endsWith(".json") ? readChecked(name, z.looseObject({}), "a configuration") : undefined;

function choose<T>(from: Readonly<Record<string, T>>, name: string, what: string): T {
  if (Object.hasOwn(from, name)) return from[name]!;
  const known = Object.keys(from).join(", ");
  throw new TensorARError(`${what}: "${name}" is unknown; ${known ? `choose one of ${known}` : "none is supported"}`);
}

const writeJson = (path: string, value: unknown): Promise<void> =>
  writeFileAtomic(path, `${JSON.stringify(value, null, 2)}\n`);
