import { type CommandBody, startProgress } from "@tensorar/cli";
import { quote } from "@tensorar/core";
import { openDataset } from "@tensorar/data";
import type { TextLosses } from "@tensorar/text-encoder";
import { describeTextEncoder, openTextEncoder } from "@tensorar/text-encoder/node";
import { captionTexts, encodeCaptions, writeCaptionFeatures } from "@tensorar/training";
import type { Settings } from "../declarations/captions";
import { hashFolder } from "../fingerprints";
import { openEngine } from "../open-engine";

export const command: CommandBody<Settings> = {
  async run(settings, signal) {
    const { output: out, dtype, encoder: dir } = settings;
    const { labels, classes, allCaptions, count } = await openDataset(settings.data);
    const texts = captionTexts({ labels, classes, captions: allCaptions });
    await describeTextEncoder(dir); // before an engine is started
    const hash = await hashFolder(dir);
    const encoder = await openTextEncoder(dir, (await openEngine(settings)).onnx);
    const progress = startProgress("captions", count, "images");
    const tally = emptyTally();
    try {
      const { maxLength, width, padding } = encoder;
      const source = { maxLength, width, padding, dtype, encoder: hash, texts };
      const encode = async (some: readonly string[]) => {
        const { trimmed, losses } = await encodeCaptions(encoder, some, { signal });
        add(tally, losses);
        return trimmed;
      };
      await writeCaptionFeatures({ ...settings, out }, source, encode, (images) => progress.update(images));
      for (const line of linesOf(tally, maxLength)) console.log(line);
    } finally {
      progress.stop();
      await encoder.dispose();
    }
    console.log(`features of the captions of ${count} images written to ${out}`);
  },
};

/** What was lost of all captions, in numbers. */
interface Tally {
  empty: number;
  truncated: number;
  longest: number;
  unknown: number;
  readonly words: Set<string>;
}

const emptyTally = (): Tally => ({ empty: 0, truncated: 0, longest: 0, unknown: 0, words: new Set() });

/** Words that are named, of those that the encoder does not know. */
const NAMED = 20;

function add(tally: Tally, { empty, truncated, unknown }: TextLosses): void {
  tally.empty += empty.length;
  tally.truncated += truncated.length;
  for (const { tokens } of truncated) tally.longest = Math.max(tally.longest, tokens);
  tally.unknown += unknown.length;
  for (const word of unknown.flatMap(({ words }) => words)) if (tally.words.size < NAMED) tally.words.add(word);
}

function linesOf({ empty, truncated, longest, unknown, words }: Tally, maxLength: number): string[] {
  const lines: string[] = [];
  if (empty > 0) lines.push(`captions without words, which become no condition: ${empty}`);
  if (truncated > 0)
    lines.push(`captions cut to the first ${maxLength} tokens: ${truncated}; the longest has ${longest}`);
  if (unknown > 0)
    lines.push(
      `captions with words that the text encoder does not know: ${unknown}; such as ${[...words].map(quote).join(", ")}`,
    );
  return lines;
}
