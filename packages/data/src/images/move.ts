/**
 * An image moved down and right by whole pixels, or up and left where they are negative; what enters repeats the edge.
 * @param pixels [size, size, 3]
 * @returns a new array of the same shape
 */
export function movedImage(pixels: Uint8Array, size: number, down: number, right: number): Uint8Array {
  const out = new Uint8Array(pixels.length);
  const inside = (at: number): number => Math.min(size - 1, Math.max(0, at));
  for (let y = 0; y < size; y++) {
    for (let x = 0; x < size; x++) {
      const source = (inside(y - down) * size + inside(x - right)) * 3;
      out.set(pixels.subarray(source, source + 3), (y * size + x) * 3);
    }
  }
  return out;
}
