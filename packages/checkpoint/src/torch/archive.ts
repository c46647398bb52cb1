import { quote, TensorARError } from "@tensorar/core";
import type { ByteSource } from "../source";
import { bytesPerElement } from "../tensor";
import { openZip, type ZipArchive, type ZipEntry } from "../zip";
import { MAX_PICKLE_BYTES, type TorchContents } from "./legacy";
import { readPickle } from "./pickle/interpreter";

/** What torch.save writes since version 1.6: a zip file of NAME/data.pkl and, per storage, NAME/data/KEY. */
export async function openArchive(source: ByteSource, placeholders: readonly string[]): Promise<TorchContents> {
  const zip = await openZip(source);
  const folder = archiveFolder(zip, source.name);
  const readEntry = async (entry: ZipEntry) => {
    const begin = await zip.locate(entry);
    return source.read(begin, begin + entry.bytes);
  };
  await expectLittleEndian(zip, folder, readEntry);

  const pickle = zip.entries.get(`${folder}data.pkl`)!;
  if (pickle.bytes > MAX_PICKLE_BYTES) {
    throw new TensorARError(`a pickle of ${pickle.bytes} bytes is over the limit of ${MAX_PICKLE_BYTES}`);
  }
  const { value, storages } = readPickle(await readEntry(pickle), 0, placeholders);
  const entries = new Map<string, ZipEntry>();
  for (const { key, dtype, fileElements } of storages.values()) {
    const entry = zip.entries.get(`${folder}data/${key}`);
    const bytes = fileElements * bytesPerElement(dtype);
    if (entry === undefined) throw new TensorARError(`storage ${quote(key)} is not in the file; save it again`);
    if (entry.bytes !== bytes) {
      throw new TensorARError(
        `storage ${quote(key)} has ${entry.bytes} bytes, but its ${fileElements} elements of ${dtype} need ${bytes}; fetch the file again`,
      );
    }
    entries.set(key, entry);
  }
  return { value, storages, locate: ({ key }) => zip.locate(entries.get(key)!) };
}

function archiveFolder({ entries }: ZipArchive, source: string): string {
  const [first = ""] = entries.keys();
  const folder = first.slice(0, first.indexOf("/") + 1);
  if (entries.has(`${folder}constants.pkl`)) {
    throw new TensorARError(`${source}: it is a TorchScript program; load it in PyTorch and save its state_dict()`);
  }
  if (folder !== "" && entries.has(`${folder}data.pkl`)) return folder;
  throw new TensorARError(
    `${source}: it is a zip file without data.pkl, so torch.save did not write it; use its contents`,
  );
}

async function expectLittleEndian(
  { entries }: ZipArchive,
  folder: string,
  readEntry: (entry: ZipEntry) => Promise<Uint8Array>,
): Promise<void> {
  const entry = entries.get(`${folder}byteorder`);
  if (entry === undefined) return; // older versions did not say, and ran on little-endian machines
  const order = entry.bytes <= 16 ? new TextDecoder().decode(await readEntry(entry)) : "unknown";
  if (order !== "little") {
    throw new TensorARError(`its byte order is ${quote(order)}; save it again on a little-endian machine`);
  }
}
