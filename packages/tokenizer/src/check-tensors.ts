import type { TensorData } from "@tensorar/checkpoint";
import type { VqConfig } from "./config";
import { TensorARError } from "./errors";
import { vqShapes } from "./layers";

/** Buffers of the original that hold no parameters: recently used codes, for its codebook usage. */
const BUFFERS = new Set(["quantize.codebook_used"]);

const LISTED = 10;

/**
 * Checks that loaded tensors are exactly the parameters of a configuration. The original's `quantize.codebook_used`
 * may be there when `codebook_show_usage` says so.
 * @param source where they came from, for the message
 * @throws TensorARError listing missing, unexpected and misshapen tensors
 */
export function checkVqTensors(
  config: VqConfig,
  tensors: Readonly<Record<string, Pick<TensorData, "shape">>>,
  source: string,
): void {
  const shapes = vqShapes(config);
  const expected = (name: string) => Object.hasOwn(shapes, name) || (config.codebook_show_usage && BUFFERS.has(name));
  const problems: string[] = [];
  for (const [name, shape] of Object.entries(shapes)) {
    const found = Object.hasOwn(tensors, name) ? tensors[name] : undefined;
    if (!found) problems.push(`"${name}" [${shape}] is missing`);
    else if (found.shape.join() !== shape.join()) problems.push(`"${name}" is [${found.shape}], not [${shape}]`);
  }
  for (const name of Object.keys(tensors)) if (!expected(name)) problems.push(`"${name}" is not part of the model`);
  if (problems.length === 0) return;
  const rest = problems.length > LISTED ? `; and ${problems.length - LISTED} more` : "";
  throw new TensorARError(
    `${source}: tensors do not fit the VQ config: ${problems.slice(0, LISTED).join("; ")}${rest}; ` +
      "use the config that the checkpoint was trained with",
  );
}
