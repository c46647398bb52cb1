import { ShapeError } from "@tensorar/core";
import type { LayerCache, LayerSlots } from "./attention";
import type { TrunkCache, TrunkSlots } from "./backbone";

/** What each layer reads of earlier calls. @throws ShapeError when the cache has another number of layers */
export function layerCaches(cache: TrunkCache | undefined, layers: number): (LayerCache | undefined)[] {
  if (!cache) return new Array<undefined>(layers).fill(undefined);
  const earlier = layerSlots(cache, layers);
  const recent = cache.recent && layerSlots(cache.recent, layers);
  return earlier.map((slots, layer) => ({ ...slots, ...(recent && { recent: recent[layer]! }) }));
}

function layerSlots({ mask, ...cache }: TrunkSlots, layers: number): LayerSlots[] {
  for (const name of ["keys", "values"] as const) {
    if (cache[name].length !== layers)
      throw new ShapeError(`trunk: cache.${name} holds ${cache[name].length} layers; pass ${layers}`);
  }
  return cache.keys.map((keys, layer) => ({ keys, values: cache.values[layer]!, mask }));
}
