import { basename } from "node:path";

/** Words before a number that make it an image size. */
const SIZE = /^(img|imgs|image|images|im|res|resolution|size|imgsize|imsize|imagesize|imagenet|inet|in|pretrain)$/;
/** Words before a number that make it something else; letters alone are mostly sizes of models. */
const OTHER =
  /^(bs|batch|gbs|mbs|ep|epoch|epochs|step|steps|it|iter|iters|iteration|iterations|dim|d|hidden|width|depth|seed|lr|k|top|topk|n|num|head|heads|vocab|code|codes|cb|codebook|tok|token|tokens|embed|seq|len|rank|gpu|gpus|node|nodes|run|exp|ds|patch|part|shard)$/;
/** Sizes of published models: what a number may mean where no word says so. */
const USUAL = ["256", "384", "512"];

/**
 * The image size that a file's name says: `img256`, `256px`, `256x256`, `res_384`, or `_256` alone. Numbers of batches, epochs,
 * steps and the like are none.
 *
 * @returns undefined where the name says none, or several
 */
export function imageSizeOfName(path: string): number | undefined {
  const name = basename(path)
    .toLowerCase()
    .replace(/(batch|image|img)[-_ ]?size/g, (_, of) => (of === "batch" ? "bs" : "img"))
    .replace(/\.(pt|pth|ckpt|bin|safetensors|json|tar|index)\b/g, "");
  const tokens = name.split(/[-_. =+@()[\],]+/).filter((token) => token !== "");
  const said = new Set<string>();
  const alone = new Set<string>();
  for (const [i, token] of tokens.entries()) {
    const [, word = "", size, unit = "", side] = /^([a-z]*)(\d+)(px|p|x(\d+))?$/.exec(token) ?? [];
    if (size === undefined || (side !== undefined && side !== size)) continue;
    const before = word === "" ? (tokens[i - 1] ?? "") : word;
    if (unit !== "" || SIZE.test(before)) said.add(size);
    else if (word === "" && !OTHER.test(before) && USUAL.includes(size)) alone.add(size);
  }
  const found = said.size > 0 ? said : alone;
  return found.size === 1 ? Number([...found][0]) : undefined;
}
