/** `location` as the key of an entry of `external_data` in an ONNX file, and the tag of its value. */
const KEY = [0x0a, 8, ...new TextEncoder().encode("location"), 0x12];

/**
 * Names of the files that hold weights of an ONNX file: browsers, unlike Node, must be given them.
 * Source: `TensorProto.external_data` of onnx.proto, entries of `StringStringEntryProto`.
 */
export function externalFiles(model: Uint8Array): string[] {
  const names = new Set<string>();
  for (let at = model.indexOf(KEY[0]!); at >= 0; at = model.indexOf(KEY[0]!, at + 1)) {
    if (!KEY.every((byte, i) => model[at + i] === byte)) continue;
    const length = model[at + KEY.length]!; // below 128: one byte
    const start = at + KEY.length + 1;
    names.add(new TextDecoder().decode(model.subarray(start, start + length)));
  }
  return [...names].sort();
}
