import { describe, expect, test } from "vitest";
import { type Generated, type Guidance, generate, PRESETS } from "../src";
import { knownDecoder } from "./known-decoder";

describe.each(Object.entries(PRESETS))("preset %s", (_, preset) => {
  const guidances = [preset.guidance].flat() as Guidance[];

  test("generates with every setting in range", async () => {
    const { temperature, topK, topP } = preset;
    for (const [factor, guidance] of guidances.entries()) {
      const at = (value: number | readonly number[]) => (typeof value === "number" ? value : value[factor]!);
      const decoder = knownDecoder({ tokens: 4, windowSize: 1, vocabSize: 5 }, ({ code }) => Math.sin(code));
      const options = { temperature: at(temperature), topK: at(topK), topP: at(topP), guidance };
      const loop = generate(decoder, { ...options, conditions: [1], seed: 0, drafts: { kind: "raw" } });
      let result: IteratorResult<unknown, Generated> = await loop.next();
      while (!result.done) result = await loop.next();
      expect(result.value.codes).toHaveLength(4);
    }
  });

  test("its grid fits its image", () => {
    const [rows, columns] = preset.grid;
    expect(preset.imageSize / rows).toBe(preset.imageSize / columns);
    expect([8, 16]).toContain(preset.imageSize / rows); // what the originals' tokenizers shrink by
    expect(preset.source).toMatch(/^[\w-]+\/[\w-]+ /);
  });
});
