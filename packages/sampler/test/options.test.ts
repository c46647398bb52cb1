import { optionsCall, testOptions } from "@tensorar/testing/options";
import type { Decoder } from "../src/decoder";
import { cachedDecoder, classLabels, deviceResidentDecoder, generate } from "../src/index";

/** Windows of two, two tokens, three codes, all equally likely. */
const decoder: Decoder<number> = {
  tokens: 2,
  windowSize: 2,
  vocabSize: 3,
  unconditional: () => 0,
  start: (conditions) => ({
    step: async () => new Float32Array(conditions.length * 2 * 3),
    verify: async (windows) => new Float32Array(windows.length * 3),
    commit: () => undefined,
  }),
};

const shape = { tokens: 2, windowSize: 2, vocabSize: 3 };
const run = async () => ({}) as never;

testOptions({
  generate: optionsCall(
    {
      conditions: [0],
      seed: 1,
      temperature: 1,
      topK: 0,
      topP: 1,
      firstIndex: 0,
      trace: true as const,
      probabilities: true,
      guidance: { kind: "constant" as const, scale: 1 },
      drafts: { kind: "raw" as const },
      draws: "position" as const,
      parallel: 2,
    },
    (options) => generate(decoder, options),
  ),
  "generate, its guidance": optionsCall({ kind: "power-cosine" as const, scale: 1, power: 1 }, (guidance) =>
    generate(decoder, { conditions: [0], guidance }),
  ),
  "generate, its drafts": optionsCall({ kind: "renoise" as const, rates: [0, 0.5], temperature: 1 }, (drafts) =>
    generate(decoder, { conditions: [0], drafts }),
  ),
  cachedDecoder: optionsCall(
    { ...shape, cache: { layers: 1, heads: 1, headDim: 1 }, conditioning: classLabels(3), run },
    (options) => cachedDecoder(options as never),
  ),
  deviceResidentDecoder: optionsCall({ ...shape, conditioning: classLabels(3), run }, (options) =>
    deviceResidentDecoder(options as never),
  ),
});
