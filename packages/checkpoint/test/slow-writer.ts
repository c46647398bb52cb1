// Writes a large file to the path given, for a test that kills it meanwhile.
import { writeSafetensors } from "../src/node";

const length = 16 * 2 ** 20;
const data = new Float32Array(length).fill(2);
const tensors = Object.fromEntries(
  Array.from({ length: 16 }, (_, i) => [`t${i}`, { dtype: "float32", shape: [length], data }] as const),
);
await writeSafetensors(process.argv[2]!, tensors);
