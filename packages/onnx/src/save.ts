import { createHash } from "node:crypto";
import { basename } from "node:path";
import { create } from "@bufbuild/protobuf";
import { type PutBytes, replaceFile } from "@tensorar/core/node";
import { StringStringEntryProtoSchema, type TensorProto, TensorProto_DataLocation } from "./generated/onnx_pb";
import type { ComposedModel, OnnxModel } from "./model";
import { encodeModel, type Initializer, totalLength, type WrittenGraph, writeGraph } from "./serialize";

/** How a model's weights are laid out in files. */
export interface SaveOptions {
  /** The weights of a larger file (in bytes) go to `PATH.data` beside it. Default: 1.9 GB. */
  readonly externalDataThreshold?: number;
  /** Largest file of weights, in bytes, where no single tensor is larger; the next ones are `PATH.data_1`, …. Default: 1.9 GB. */
  readonly shardBytes?: number;
  /** Stops the writing between two tensors, which then throws the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/** Browsers can't allocate more at once; protobuf itself ends at 2 GiB. */
const LARGEST_FILE = 1.9e9;
/** Tensors of fewer bytes stay in the file, where ONNX Runtime needs shapes and axes. */
const SMALLEST_EXTERNAL = 1024;
/** Offsets are multiples of a memory page, so that runtimes can map the weights. */
const ALIGNMENT = 4096;
/**
 * Writes an `.onnx` file, and `PATH.data` with the weights when they are too large for one file. Each file is
 * written under a temporary name beside it and renamed, so that a crash leaves the old one or the new.
 *
 * @throws TensorARError (`io`) when a file can't be written, and the reason of `signal` when it aborts; the file is then as it was
 */
export async function saveModel(
  model: OnnxModel | ComposedModel,
  path: string,
  options: SaveOptions = {},
): Promise<void> {
  const written = writeGraph(model);
  const largest = options.externalDataThreshold ?? LARGEST_FILE;
  const weights = totalLength(written.initializers.flatMap(({ bytes }) => bytes ?? []));
  const chunks = weights > largest ? undefined : encodeModel(written);
  if (chunks === undefined || totalLength(chunks) > largest)
    await saveWithWeights({ [path]: written }, `${path}.data`, options);
  else await replaceFile(path, (put) => putAll(put, chunks, options.signal));
}

/**
 * Writes several `.onnx` files of one folder that share their weights: equal tensors are stored once, in
 * `dataPath` and, past `shardBytes`, `dataPath_1`, ….
 *
 * @param models by path
 * @throws TensorARError (`io`) when a file can't be written, and the reason of `signal` when it aborts
 */
export async function saveModels(
  models: Readonly<Record<string, OnnxModel | ComposedModel>>,
  dataPath: string,
  options: Pick<SaveOptions, "shardBytes" | "signal"> = {},
): Promise<void> {
  const written = Object.entries(models).map(([path, model]) => [path, writeGraph(model)] as const);
  await saveWithWeights(Object.fromEntries(written), dataPath, options);
}

/** The weights first, so that a graph that is there has its own. */
async function saveWithWeights(
  graphs: Readonly<Record<string, WrittenGraph>>,
  dataPath: string,
  { shardBytes = LARGEST_FILE, signal }: Pick<SaveOptions, "shardBytes" | "signal">,
): Promise<void> {
  const several = Object.keys(graphs).length > 1;
  const plan = new Map<Initializer, Place>();
  const shards: Shard[] = [];
  const known = new Map<string, Place>();
  for (const { initializers } of Object.values(graphs)) {
    for (const initializer of initializers) {
      const { bytes } = initializer;
      if (!bytes || bytes.length < SMALLEST_EXTERNAL) continue;
      const key = several ? digest(bytes) : undefined;
      const place = (key === undefined ? undefined : known.get(key)) ?? append(shards, bytes, shardBytes);
      if (key !== undefined) known.set(key, place);
      plan.set(initializer, place);
    }
  }
  const pathOf = (shard: number): string => (shard === 0 ? dataPath : `${dataPath}_${shard}`);
  for (const [number, { parts }] of shards.entries()) {
    await replaceFile(pathOf(number), async (put) => {
      for (const { bytes, offset } of parts) {
        signal?.throwIfAborted();
        await put(bytes, offset);
      }
    });
  }
  for (const [path, { proto, initializers }] of Object.entries(graphs)) {
    const moved = initializers.map((initializer) => {
      const place = plan.get(initializer);
      if (!place) return initializer;
      const { shard, offset, length } = place;
      const tensor = external(initializer.tensor, { location: basename(pathOf(shard)), offset, length });
      return { tensor, ...(initializer.owner && { owner: initializer.owner }) };
    });
    await replaceFile(path, (put) => putAll(put, encodeModel({ proto, initializers: moved }), signal));
  }
}

/** Where a tensor lies among the files of weights. */
interface Place {
  readonly shard: number;
  readonly offset: number;
  readonly length: number;
}

interface Shard {
  readonly parts: { readonly bytes: Uint8Array; readonly offset: number }[];
  end: number;
}

/** Puts a tensor at the end of the last file, or of a new one when it would become too large. */
function append(shards: Shard[], bytes: Uint8Array, shardBytes: number): Place {
  const aligned = (end: number) => Math.ceil(end / ALIGNMENT) * ALIGNMENT;
  const last = shards.at(-1);
  if (!last || (last.parts.length > 0 && aligned(last.end) + bytes.length > shardBytes))
    shards.push({ parts: [], end: 0 });
  const shard = shards.at(-1)!;
  const offset = aligned(shard.end);
  shard.parts.push({ bytes, offset });
  shard.end = offset + bytes.length;
  return { shard: shards.length - 1, offset, length: bytes.length };
}

const digest = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("base64");

async function putAll(put: PutBytes, chunks: readonly Uint8Array[], signal: AbortSignal | undefined): Promise<void> {
  for (const chunk of chunks) {
    signal?.throwIfAborted();
    await put(chunk);
  }
}

function external(tensor: TensorProto, place: Readonly<Record<string, string | number>>): TensorProto {
  const externalData = Object.entries(place).map(([key, value]) =>
    create(StringStringEntryProtoSchema, { key, value: String(value) }),
  );
  return { ...tensor, externalData, dataLocation: TensorProto_DataLocation.EXTERNAL };
}
