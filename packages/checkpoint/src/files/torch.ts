import { openTorchSource, type TorchFile, type TorchOptions } from "../torch/open";
import { withSource } from "./source";

/**
 * Opens a file of torch.save (`.pt`, `.pth`, `.bin`, `.ckpt`) and reads its description; the caller closes it. Nothing in
 * the file is executed.
 *
 * @throws TensorARError when the file cannot be read, or holds anything that is not known
 */
export const openTorch = (path: string, options: TorchOptions = {}): Promise<TorchFile> =>
  withSource(path, (source) => openTorchSource(source, options));
