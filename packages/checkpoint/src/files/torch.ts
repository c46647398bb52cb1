import type { OpenOptions } from "../checkpoint-file";
import { openTorchSource, type TorchFile } from "../torch/open";
import { withSource } from "./source";

/**
 * Opens a file of torch.save (`.pt`, `.pth`, `.bin`, `.ckpt`) and reads its description; the caller closes it. Nothing in
 * the file is executed.
 *
 * @throws TensorARError when the file cannot be read, or holds no tensors where they are wanted
 */
export const openTorch = (path: string, options: OpenOptions = {}): Promise<TorchFile> =>
  withSource(path, (source) => openTorchSource(source, options));
