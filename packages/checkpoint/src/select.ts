import { quote, TensorARError } from "@tensorar/core";
import { type CheckpointFile, contentsOf, findTensor, type OpenOptions } from "./checkpoint-file";
import { bytesPerElement, elementCount } from "./tensor";

/** What wrappers of PyTorch put between the parts of names: DataParallel and DeepSpeed, torch.compile, FSDP, checkpointing. */
const WRAPPERS: readonly string[] = ["module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"];

/** A name without the parts that wrappers added, wherever they stand: `module.layers.0._orig_mod.a` becomes `layers.0.a`. */
export function withoutWrappers(name: string): string {
  const parts = name.split(".");
  return parts.filter((part, i) => i === parts.length - 1 || !WRAPPERS.includes(part)).join(".");
}

/** Tensors may share storages and repeat elements; together they take at most so many times the file. */
const MAX_EXPANSION = 4;
const EXPANSION_FREE_BYTES = 2 ** 26;

/**
 * The part of a file that options choose, under short names: below `root`, without wrappers, and without `stripPrefix`.
 *
 * @param options.root "" for everything
 * @throws TensorARError when nothing is there, two names become equal, or the tensors take far more memory than the file
 */
export function select(
  file: CheckpointFile,
  { root, stripPrefix = "" }: OpenOptions & { readonly root: string },
  fileBytes: number,
): CheckpointFile {
  const shorten = (name: string): string | undefined => {
    const inside = below(name, root);
    const short = inside === undefined ? undefined : withoutWrappers(inside);
    return short?.startsWith(stripPrefix) && short !== stripPrefix ? short.slice(stripPrefix.length) : undefined;
  };
  const full = new Map<string, string>();
  for (const name of file.names) {
    const short = shorten(name);
    if (short === undefined) continue;
    const other = full.get(short);
    if (other !== undefined)
      throw new TensorARError(
        `${file.path}: ${quote(other)} and ${quote(name)} are both ${quote(short)} without what wrappers add ` +
          `(${WRAPPERS.join(", ")}); name the part that is meant by its root`,
      );
    full.set(short, name);
  }
  if (full.size === 0) throw nothingThere(file, root, stripPrefix);
  expectOwnSize(file, full.values(), fileBytes);
  const unreadable = [...file.unreadable].flatMap(([name, what]) => {
    const short = shorten(name);
    return short === undefined ? [] : [[short, what] as const];
  });
  const find = (name: string) => findTensor(full, name, file.path);
  return {
    ...file,
    names: [...full.keys()],
    unreadable: new Map(unreadable),
    info: (name) => file.info(find(name)),
    read: async (name) => file.read(find(name)),
    stream: (name) => file.stream(find(name)),
  };
}

function below(name: string, root: string): string | undefined {
  if (root === "") return name;
  return name.startsWith(`${root}.`) ? name.slice(root.length + 1) : undefined;
}

function nothingThere(file: CheckpointFile, root: string, prefix: string): TensorARError {
  const where = root === "" ? "it holds no tensors" : `there are no tensors under the root ${quote(root)}`;
  const what = prefix === "" ? where : `no name ${root && `under ${quote(root)} `}begins with ${quote(prefix)}`;
  return new TensorARError(
    `${file.path}: ${what}; it holds ${contentsOf(file)}. Objects are never made: of a whole model save its state_dict()`,
    { code: "missing" },
  );
}

function expectOwnSize(file: CheckpointFile, names: Iterable<string>, fileBytes: number): void {
  let bytes = 0;
  for (const name of names) {
    if (file.unreadable.has(name)) continue;
    const { dtype, shape } = file.info(name);
    bytes += elementCount(shape)! * bytesPerElement(dtype);
  }
  if (bytes <= MAX_EXPANSION * fileBytes + EXPANSION_FREE_BYTES) return;
  throw new TensorARError(
    `${file.path}: its tensors would take ${bytes} bytes, but the file has ${fileBytes}; ` +
      "save clones of expanded tensors, or name a root with fewer of them",
    { code: "limit" },
  );
}
