/** How a tensor of pseudo-weights is made; the recipe is in reference/README.md. */
export interface WeightRecipe {
  readonly name: string;
  readonly shape: readonly number[];
  readonly offset: number;
  readonly scale: number;
}

/** Element i is a function of the key and i alone: FNV-1a of the key, murmur3's finalizer, one rounding to float32. */
export function hashValues(key: string, length: number, offset: number, scale: number): Float32Array {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(key)) hash = Math.imul(hash ^ byte, 0x01000193);
  const values = new Float32Array(length);
  for (let i = 0; i < length; i++) {
    let z = (hash + Math.imul(i, 0x9e3779b9)) | 0;
    z = Math.imul(z ^ (z >>> 16), 0x85ebca6b);
    z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35);
    const u = ((z ^ (z >>> 16)) >>> 8) / 2 ** 24;
    values[i] = offset + scale * (2 * u - 1);
  }
  return values;
}
