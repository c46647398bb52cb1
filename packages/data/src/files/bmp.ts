import { decode } from "@cwasm/nsbmp";
import { TensorARError } from "@tensorar/core";

const HEADER = { size: 14, width: 18, height: 22, bits: 28 };
/** The header of OS/2, whose sizes have 16 bits. */
const CORE_HEADER = { size: 12, width: 18, height: 20, bits: 24 };

/** Whether bytes are a BMP file: "BM", and reserved bytes that are 0. */
export const isBmp = (bytes: Uint8Array): boolean =>
  bytes.length >= 26 && bytes[0] === 0x42 && bytes[1] === 0x4d && bytes.subarray(6, 10).every((byte) => byte === 0);

export interface BmpHeader {
  readonly width: number;
  readonly height: number;
}

/** @throws TensorARError for a header that is cut, and 16 bits a pixel, which the library rounds down: white would be grey */
export function bmpHeader(bytes: Uint8Array): BmpHeader {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const core = view.getUint32(HEADER.size, true) === CORE_HEADER.size;
  if (!core && bytes.length < HEADER.bits + 2) throw new TensorARError("a BMP file that is cut off");
  const bits = view.getUint16(core ? CORE_HEADER.bits : HEADER.bits, true);
  if (bits === 16) throw new TensorARError("a BMP file of 16 bits a pixel; save it with 24", { code: "unsupported" });
  if (core) return { width: view.getUint16(CORE_HEADER.width, true), height: view.getUint16(CORE_HEADER.height, true) };
  // A negative height says that rows go downwards.
  return { width: view.getInt32(HEADER.width, true), height: Math.abs(view.getInt32(HEADER.height, true)) };
}

/** Pixels of a BMP file whose size was checked, [height, width, 4]; the fourth is 255 where the file has no alpha. */
export const decodeBmp = (bytes: Uint8Array): { width: number; height: number; data: Uint8Array } => {
  const { width, height, data } = decode(bytes);
  return { width, height, data: new Uint8Array(data.buffer, data.byteOffset, data.length) };
};
