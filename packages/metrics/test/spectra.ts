/** Uneven numbers of size 1. */
export const wave = (length: number, phase: number) =>
  Float64Array.from({ length }, (_, i) => Math.sin(1.3 * i * i + phase) + Math.cos(0.7 * i + phase));

/** `Q diag(spectrum) Qᵀ`, row-major and exactly symmetric, where Q is a product of three reflections that `phase` gives. */
export function withSpectrum(spectrum: ArrayLike<number>, phase = 0): Float64Array {
  const size = spectrum.length;
  const matrix = new Float64Array(size * size);
  for (let i = 0; i < size; i++) matrix[i * size + i] = spectrum[i]!;
  for (const shift of [0.1, 0.9, 2.3]) reflect(matrix, wave(size, phase + shift));
  for (let i = 0; i < size; i++) for (let j = 0; j < i; j++) matrix[j * size + i] = matrix[i * size + j]!;
  return matrix;
}

/** `A ← H A H` with `H = I - 2 v vᵀ / |v|²`, straight from the definition. */
function reflect(matrix: Float64Array, v: Float64Array): void {
  const size = v.length;
  const norm = v.reduce((sum, value) => sum + value * value, 0);
  for (const [along, across] of [
    [size, 1],
    [1, size],
  ] as const) {
    for (let line = 0; line < size; line++) {
      let dot = 0;
      for (let t = 0; t < size; t++) dot += matrix[line * along + t * across]! * v[t]!;
      for (let t = 0; t < size; t++) {
        const at = line * along + t * across;
        matrix[at] = matrix[at]! - (2 * dot * v[t]!) / norm;
      }
    }
  }
}
