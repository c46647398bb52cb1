import type { LayerCache } from "./attention";
import type { TrunkCache } from "./backbone";
import { ShapeError } from "./errors";

/** What each layer reads of earlier calls. @throws ShapeError when the cache has another number of layers */
export function layerCaches(cache: TrunkCache | undefined, layers: number): (LayerCache | undefined)[] {
  for (const name of ["keys", "values"] as const) {
    if (cache !== undefined && cache[name].length !== layers) {
      throw new ShapeError(`trunk: cache.${name} holds ${cache[name].length} layers; pass ${layers}`);
    }
  }
  return Array.from(
    { length: layers },
    (_, layer) => cache && { keys: cache.keys[layer]!, values: cache.values[layer]!, mask: cache.mask },
  );
}
