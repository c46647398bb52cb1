import { quote, TensorARError } from "@tensorar/core";
import { expectWithin, type Limits } from "../limits";
import type { ByteSource } from "../source";
import { openZip, type ZipArchive, type ZipEntry } from "../zip";
import type { TorchContents } from "./legacy";
import { readPickle } from "./pickle/interpreter";

/** What torch.save writes since version 1.6: a zip file of NAME/data.pkl and, per storage, NAME/data/KEY. */
export async function openArchive(source: ByteSource, limits: Limits): Promise<TorchContents> {
  const zip = await openZip(source);
  const folder = archiveFolder(zip, source.name);
  const readEntry = async (entry: ZipEntry) => {
    const begin = await zip.locate(entry);
    return source.read(begin, begin + entry.bytes);
  };
  await expectLittleEndian(zip, folder, readEntry);

  const pickle = zip.entries.get(`${folder}data.pkl`)!;
  expectWithin(limits, "pickleBytes", pickle.bytes, "its pickle");
  const { value, storages } = readPickle(await readEntry(pickle), 0, limits.pickleMemory);
  const entries = new Map<string, ZipEntry>();
  for (const { key, type, dtype, width, fileElements } of storages.values()) {
    if (dtype === undefined) continue; // no tensor reads it
    const entry = zip.entries.get(`${folder}data/${key}`);
    const bytes = fileElements * width;
    if (entry === undefined) throw new TensorARError(`storage ${quote(key)} is not in the file; save it again`);
    if (entry.bytes !== bytes) {
      throw new TensorARError(
        `storage ${quote(key)} has ${entry.bytes} bytes, but its ${fileElements} elements of ${type} need ${bytes}; fetch the file again`,
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
    throw new TensorARError(
      `${source}: it is a TorchScript program; load it in PyTorch (torch.jit.load) and save its state_dict()`,
      { code: "unsupported" },
    );
  }
  if (folder !== "" && entries.has(`${folder}data.pkl`)) return folder;
  const names = [...entries.keys()];
  const isNpz = names.length > 0 && names.every((name) => name.endsWith(".npy"));
  const held =
    names.length === 0 ? "nothing" : quote(`${names.slice(0, 3).join(", ")}${names.length > 3 ? ", …" : ""}`);
  throw new TensorARError(
    isNpz
      ? `${source}: it is a .npz file of NumPy; give a checkpoint of PyTorch or safetensors`
      : `${source}: it is a zip file that holds ${held}, not one of torch.save; unpack it and give the checkpoint inside`,
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
