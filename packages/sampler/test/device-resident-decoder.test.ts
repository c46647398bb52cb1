import { expect, test } from "vitest";
import { classLabels, type DeviceResidentStep, deviceResidentDecoder, promptTokens } from "../src";

const [tokens, windowSize, vocabSize] = [4, 2, 5];
const cache = { layers: 2, heads: 3, headDim: 6 };

/** A step that notes what it is given. */
function recorder(dtype: string) {
  const states: Parameters<DeviceResidentStep["setState"]>[0][] = [];
  const positions: number[] = [];
  const step = async ({ position, window }: Parameters<DeviceResidentStep>[0]) => {
    positions.push(...position.data);
    const shape = [...window.shape, vocabSize];
    const size = shape.reduce((product, each) => product * each, 1);
    return { logits: { dtype: "float32" as const, shape, data: new Float32Array(size) } };
  };
  const run: DeviceResidentStep = Object.assign(step, {
    setState: async (state: (typeof states)[number]) => void states.push(state),
    inputs: [{ name: "keys/0", dtype }],
  });
  return { run, states, positions };
}

const window = (rows: number) => new Int32Array(rows * windowSize);

test("the cache begins empty, with room for all that is read, and positions are counted from the condition on", async () => {
  const { run, states, positions } = recorder("float32");
  const sizes = { tokens, windowSize, vocabSize, cache, conditionPositions: 1, run };
  const session = deviceResidentDecoder({ ...sizes, conditioning: classLabels(9) }).start([1, 2, 9]);
  for (let i = 0; i < tokens; i++) expect(await session.step(window(3))).toHaveLength(3 * windowSize * vocabSize);
  expect(positions).toEqual([0, 1, 2, 3]);
  expect(states).toHaveLength(1);
  const { mask, keys, values } = states[0]!;
  expect([mask.shape, ...keys.map(({ shape }) => shape)]).toEqual([[3, 3], [3, 3, 3, 6], [3, 3, 3, 6]]); // biome-ignore format: one row
  expect(values.map(({ shape }) => shape)).toEqual([[3, 3, 3, 6], [3, 3, 3, 6]]); // biome-ignore format: one row
  expect(new Set(mask.data)).toEqual(new Set([-1e9]));
  for (const { data } of [...keys, ...values]) expect(new Set(data)).toEqual(new Set([0]));
  await expect(session.step(window(3))).rejects.toThrow("all 4 tokens are decoded");
});

test("the first step takes the positions of a prompt, the second the one after it; caches may be halves", async () => {
  const { run, states, positions } = recorder("float16");
  const sizes = { tokens, windowSize, vocabSize, cache, conditionPositions: null, run };
  const session = deviceResidentDecoder({ ...sizes, conditioning: promptTokens(0) }).start([[1, 2, 3], [4]]);
  for (let i = 0; i < tokens; i++) await session.step(window(2));
  expect(positions).toEqual([0, 3, 4, 5]);
  expect(states[0]!.keys[0]).toMatchObject({ dtype: "float16", shape: [2, 3, 5, 6] });
  expect(states[0]!.keys[0]!.data).toBeInstanceOf(Uint16Array);
  expect(states[0]!.mask).toMatchObject({ dtype: "float32", shape: [2, 5] });
  const classes = deviceResidentDecoder({ ...sizes, conditioning: classLabels(9) });
  expect(() => classes.start([1])).toThrow("give their positions");
});

test("a session whose cache was taken by another one stops", async () => {
  const { run, states } = recorder("float32");
  const sizes = { tokens, windowSize, vocabSize, cache, conditionPositions: 1, run };
  const decoder = deviceResidentDecoder({ ...sizes, conditioning: classLabels(9) });
  const first = decoder.start([1]);
  await first.step(window(1));
  const second = decoder.start([2]);
  await second.step(window(1));
  expect(states).toHaveLength(2);
  await expect(first.step(window(1))).rejects.toThrow("another session has begun");
  await expect(first.nextSubToken!([])).rejects.toThrow("another session has begun");
  await expect(second.nextSubToken!([])).rejects.toThrow("has no sub-tokens");
});
