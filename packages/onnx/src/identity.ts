import { ONNX_TYPES } from "./graph";
import type { Port } from "./model";

/**
 * The bytes of a model that copies each input `ports[i]` to the output `i.read`: the safe way to read tensors that live on a
 * GPU. Written by hand, in the few fields of ONNX's protobuf messages that it has, so that running models needs no encoder.
 */
export function identityModel(ports: readonly Port[]): Uint8Array<ArrayBuffer> {
  const nodes = ports.map(({ name }, i) =>
    message(text(1, name), text(2, `${i}.read`), text(3, `Identity_${i}`), text(4, "Identity")),
  );
  const graph = message(
    ...nodes.map((node) => field(1, node)),
    text(2, "identity"),
    ...ports.map((port) => field(11, valueInfo(port))),
    ...ports.map((port, i) => field(12, valueInfo({ ...port, name: `${i}.read` }))),
  );
  const operatorSet = message(text(1, ""), integer(2, 21));
  return Uint8Array.from(message(integer(1, 10), field(7, graph), field(8, operatorSet)));
}

type Bytes = readonly number[];

function valueInfo({ name, dtype, shape }: Port): Bytes {
  const dims = shape.map((size) => field(1, typeof size === "number" ? integer(1, size) : text(2, size)));
  const tensor = message(integer(1, ONNX_TYPES[dtype]), field(2, dims.flat()));
  return message(text(1, name), field(2, field(1, tensor)));
}

const message = (...fields: readonly Bytes[]): Bytes => fields.flat();

const integer = (number: number, value: number): Bytes => [...varint(number << 3), ...varint(value)];

const field = (number: number, bytes: Bytes): Bytes => [
  ...varint((number << 3) | 2),
  ...varint(bytes.length),
  ...bytes,
];

const text = (number: number, value: string): Bytes => field(number, [...new TextEncoder().encode(value)]);

/** Seven bits a byte, the lowest first. Divided, not shifted: sizes may need more than 32 bits. */
const varint = (value: number): Bytes =>
  value < 128 ? [value] : [(value % 128) + 128, ...varint(Math.floor(value / 128))];
