/** All files of what was dropped, by their paths. @throws Error when one can't be read */
export async function droppedFiles(items: DataTransferItemList): Promise<Map<string, File>> {
  const entries = Array.from(items, (item) => item.webkitGetAsEntry()).filter((entry) => entry !== null); // before any pause
  const found = new Map<string, File>();
  for (const entry of entries) await collect(entry, found);
  return found;
}

async function collect(entry: FileSystemEntry, found: Map<string, File>): Promise<void> {
  if (isFile(entry)) {
    const file = await new Promise<File>((resolve, reject) => entry.file(resolve, reject));
    found.set(entry.fullPath.slice(1), file);
  } else if (isDirectory(entry)) {
    for (const inside of await childrenOf(entry)) await collect(inside, found);
  }
}

const isFile = (entry: FileSystemEntry): entry is FileSystemFileEntry => entry.isFile;
const isDirectory = (entry: FileSystemEntry): entry is FileSystemDirectoryEntry => entry.isDirectory;

/** A reader gives a hundred at a time. */
async function childrenOf(entry: FileSystemDirectoryEntry): Promise<FileSystemEntry[]> {
  const reader = entry.createReader();
  const all: FileSystemEntry[] = [];
  for (;;) {
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
    if (some.length === 0) return all;
    all.push(...some);
  }
}

/** The files of a folder that was chosen in a dialog, by their paths. */
export const chosenFiles = (files: FileList): Map<string, File> =>
  new Map(Array.from(files, (file) => [file.webkitRelativePath || file.name, file]));
