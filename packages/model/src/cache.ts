import { ShapeError } from "@tensorar/core";
import type { LayerCache, LayerPositions } from "./attention";
import type { BodyCache, BodyPositions } from "./backbone";

/** What each layer reads of earlier calls. @throws ShapeError when the cache has another number of layers */
export function layerCaches(cache: BodyCache | undefined, layers: number): (LayerCache | undefined)[] {
  if (!cache) return new Array<undefined>(layers).fill(undefined);
  const earlier = layerPositions(cache, layers);
  const recent = cache.recent && layerPositions(cache.recent, layers);
  return earlier.map((positions, layer) => ({ ...positions, ...(recent && { recent: recent[layer]! }) }));
}

function layerPositions({ mask, ...cache }: BodyPositions, layers: number): LayerPositions[] {
  for (const name of ["keys", "values"] as const) {
    if (cache[name].length !== layers)
      throw new ShapeError(`body: cache.${name} holds ${cache[name].length} layers; pass ${layers}`);
  }
  return cache.keys.map((keys, layer) => ({ keys, values: cache.values[layer]!, mask }));
}
