import { readFileSync } from "node:fs";
import { referenceFiles } from "@tensorar/testing";
import { expect, test } from "vitest";
import { openTorchBytes, TensorARError, type TensorData, type TorchFile } from "../src/index";
import { randomIntegers } from "./tensors";
import { type Described, stateDict, torchLegacy, torchZip } from "./torch-writer";

/** TENSORAR_FUZZ=100000 makes a long run. */
const COUNT = Number(process.env.TENSORAR_FUZZ ?? 3000);

const next = randomIntegers(1);
const storages = {
  0: Uint8Array.from({ length: 240 }, () => next(256)),
  1: Uint8Array.from({ length: 400 }, () => next(256)),
};
const base = { type: "FloatStorage", storageElements: 60, key: "0" };
const tensors: Described[] = [
  { ...base, name: "module.a", shape: [6, 10] },
  { ...base, name: "module.b", shape: [10, 6], strides: [1, 10] },
  { ...base, name: "module.c", shape: [3], strides: [0], offset: 5 },
  { ...base, name: "module.d", key: "1", storageElements: 100, shape: [10, 10] },
];
const data = stateDict(tensors, "state_dict");
// Small files of real torch.save take part where they are at hand.
const stored = referenceFiles(".pt")
  .map((path) => readFileSync(path))
  .filter((file) => file.byteLength < 12_000);
const whole = [torchZip(data, storages), torchLegacy(data, storages, 4), ...stored];

const INTERESTING = Buffer.from("\x00\x01\x7f\x80\xff(.}])tuesRbQcq\x85\x86\x87\x88\x89\x8aJKMX", "latin1");

function mutate(file: Buffer, random: (n: number) => number): Buffer {
  const result = Array.from(file);
  for (let change = random(4); change >= 0; change--) {
    const region = random(3) === 0 ? result.length : Math.min(result.length, 2500);
    const at =
      random(2) === 0 ? random(Math.max(1, region)) : Math.max(0, result.length - 1 - random(Math.max(1, region)));
    const length = 1 + random(12);
    switch (random(7)) {
      case 0:
        result[at] = random(256);
        break;
      case 1:
      case 2:
        result[at] = INTERESTING[random(INTERESTING.length)]!;
        break;
      case 3:
        result.splice(at, length);
        break;
      case 4:
        result.splice(at, 0, ...result.slice(random(result.length), random(result.length)).slice(0, 300));
        break;
      case 5:
        result[at] = (result[at] ?? 0) ^ (1 << random(8));
        break;
      default:
        if (random(8) === 0) result.length = at;
        else result.splice(at, 0, INTERESTING[random(INTERESTING.length)]!);
    }
  }
  return Buffer.from(result);
}

const bytesOf = ({ data: array }: TensorData) => Buffer.from(array.buffer, array.byteOffset, array.byteLength);

/** What was accepted must lie in the file: as a whole, or for views out of order every element. */
async function expectFromFile(file: Buffer, opened: TorchFile): Promise<void> {
  for (const name of opened.names) {
    const info = opened.info(name);
    const tensor = await opened.read(name);
    const bytes = bytesOf(tensor);
    expect({ dtype: tensor.dtype, shape: tensor.shape }).toEqual(info);
    expect(tensor.data.length).toBe(info.shape.reduce((product, size) => product * size, 1));
    const width = tensor.data.BYTES_PER_ELEMENT;
    const parts = file.includes(bytes) ? [] : Array.from({ length: Math.min(100, tensor.data.length) }, (_, i) => i);
    for (const i of parts) expect(file.includes(bytes.subarray(i * width, (i + 1) * width))).toBe(true);
    const pieces: Buffer[] = [];
    for await (const piece of opened.stream(name)) pieces.push(bytesOf(piece));
    expect(Buffer.concat(pieces).equals(bytes)).toBe(true);
  }
}

test(`${COUNT} damaged files give an error or what the file says, quickly`, {
  timeout: 60_000 + COUNT * 30,
}, async () => {
  let accepted = 0;
  let slowest = 0;
  let peak = 0;
  for (let seed = 1; seed <= COUNT; seed++) {
    const random = randomIntegers(seed);
    // Damage to the pickle alone, in a sound file, reaches the interpreter more often than damage anywhere.
    const inside = random(2) === 0;
    const pickle = inside ? mutate(data, random) : data;
    const sound = random(2) === 0 ? torchZip(pickle, storages) : torchLegacy(pickle, storages, 4);
    const file = inside ? sound : mutate(whole[random(whole.length)]!, random);
    const started = performance.now();
    try {
      const opened = await openTorchBytes(file, random(2) === 0 ? {} : { root: "" });
      await expectFromFile(file, opened);
      accepted++;
    } catch (error) {
      if (!(error instanceof TensorARError)) throw new Error(`seed ${seed}`, { cause: error });
    }
    slowest = Math.max(slowest, performance.now() - started);
    if (seed % 100 === 0) peak = Math.max(peak, process.memoryUsage().rss);
  }
  console.log(
    `${COUNT} files: ${accepted} accepted, slowest ${slowest.toFixed(0)} ms, ${(peak / 1e6).toFixed(0)} MB resident`,
  );
  expect(accepted).toBeGreaterThan(COUNT / 50);
  expect(accepted).toBeLessThan(COUNT * 0.8);
  expect(slowest).toBeLessThan(5000); // ordinary: 1 ms; the largest tensor that is allowed, 64 MB, takes far below 1 s
  expect(peak).toBeLessThan(1e9); // of which Node and the test runner take 150 MB
  expect(Object.keys(Object.prototype)).toEqual([]);
});
