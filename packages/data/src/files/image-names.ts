/** Extensions of the images that are read, in any case. What a file is, its first bytes say. */
export const IMAGE_EXTENSIONS = ["png", "jpg", "jpeg", "jfif", "webp", "gif", "avif", "tif", "tiff", "bmp"] as const;

/** The part after the last dot of a path's last name, in lower case; empty where there is none. */
export function extensionOf(path: string): string {
  const name = path.slice(path.lastIndexOf("/") + 1);
  const dot = name.lastIndexOf(".");
  return dot <= 0 ? "" : name.slice(dot + 1).toLowerCase();
}

export const hasImageName = (path: string): boolean =>
  (IMAGE_EXTENSIONS as readonly string[]).includes(extensionOf(path));

/** Files and folders that systems put beside those of the user. */
const SYSTEM = ["thumbs.db", "desktop.ini", "__macosx", "@eadir", "$recycle.bin", "system volume information"];

/** Whether a name is no file of the user: `._0.png`, `.ipynb_checkpoints`, `Thumbs.db` and the like. */
export const isHidden = (name: string): boolean =>
  (name.startsWith(".") && name !== "." && name !== "..") || SYSTEM.includes(name.toLowerCase());
