import { TensorARError } from "@tensorar/core";

/** Contents of the two files of a tokenizer, which `createTextTokenizer` runs. */
export interface TokenizerContents {
  /** Of `tokenizer.json`. */
  readonly tokenizer: object;
  /** Of `tokenizer_config.json`. */
  readonly config: object;
  readonly vocabularySize: number;
  /** The token of padding. */
  readonly padId: number;
}

/** Tokens with a meaning of their own, by id; `[BOS]` begins every text, `[EOS]` ends it. */
const SPECIAL = ["[PAD]", "[UNK]", "[BOS]", "[EOS]"] as const;
/** Before a piece that does not begin its word. */
const INNER = "##";
/** A word that is spelt in more pieces is unknown. */
const MOST_CHARACTERS = 100;
/** Known even if no text holds them, so that new words can be spelt. */
const LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789";

/**
 * A WordPiece tokenizer with a vocabulary made from texts: frequent words as a whole, rare ones in pieces, and single characters, so
 * that any word of the texts' alphabet can be spelt; other words become `[UNK]`. Texts are lower-cased without accents. The
 * pieces are found as byte-pair encoding finds them: the pair that stands side by side most often becomes one.
 *
 * Source: Sennrich et al. 2016 (byte-pair encoding); Schuster and Nakajima 2012 (WordPiece).
 *
 * @param texts such as all captions of training; the result depends on them and on nothing else
 * @param size of the vocabulary, at most
 * @throws TensorARError when the size does not even hold the characters
 */
export function wordPieceTokenizer(texts: Iterable<string>, size: number): TokenizerContents {
  const words = [...countWords(texts)].map(([word, count]) => ({ count, pieces: piecesOf(word) }));
  const first = [...LETTERS].flatMap((letter) => [letter, `${INNER}${letter}`]);
  const characters = [...new Set([...first, ...words.flatMap(({ pieces }) => pieces)])].sort(byCode);
  const vocabulary = [...SPECIAL, ...characters];
  if (vocabulary.length > size)
    throw new TensorARError(
      `a vocabulary of ${size} tokens is too small: the texts have ${characters.length} characters; use ${vocabulary.length} or more`,
    );
  while (vocabulary.length < size) {
    const pair = mostFrequentPair(words);
    if (pair === undefined) break;
    vocabulary.push(joined(pair));
    for (const word of words) word.pieces = merge(word.pieces, pair);
  }
  const vocab = Object.fromEntries(vocabulary.map((piece, id) => [piece, id]));
  return { ...contentsOf(vocab), vocabularySize: vocabulary.length, padId: vocab["[PAD]"]! };
}

/** How often each word occurs, by the rules that the tokenizer then follows. */
function countWords(texts: Iterable<string>): Map<string, number> {
  const counts = new Map<string, number>();
  for (const text of texts) {
    const plain = text
      .normalize("NFD")
      .replace(/\p{Mn}/gu, "")
      .toLowerCase();
    for (const word of plain.match(/[^\s\p{P}\p{S}]+|[\p{P}\p{S}]/gu) ?? [])
      counts.set(word, (counts.get(word) ?? 0) + 1);
  }
  return counts;
}

const piecesOf = (word: string): string[] => [...word].map((letter, i) => (i === 0 ? letter : `${INNER}${letter}`));

type Pair = readonly [string, string];

const joined = ([a, b]: Pair): string => a + b.slice(INNER.length);

const byCode = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/** The pair that occurs most often, at least twice; of several the first by its characters. */
function mostFrequentPair(
  words: readonly { readonly count: number; readonly pieces: readonly string[] }[],
): Pair | undefined {
  const counts = new Map<string, number>();
  for (const { count, pieces } of words)
    for (let i = 1; i < pieces.length; i++) {
      const key = `${pieces[i - 1]} ${pieces[i]}`;
      counts.set(key, (counts.get(key) ?? 0) + count);
    }
  let best: readonly [key: string, count: number] | undefined;
  for (const [key, count] of counts)
    if (count > 1 && (!best || count > best[1] || (count === best[1] && byCode(key, best[0]) < 0))) best = [key, count];
  const [a, b] = best?.[0].split(" ") ?? [];
  return a === undefined || b === undefined ? undefined : [a, b];
}

function merge(pieces: readonly string[], pair: Pair): string[] {
  const merged: string[] = [];
  for (const piece of pieces) {
    if (piece === pair[1] && merged.at(-1) === pair[0]) merged[merged.length - 1] = joined(pair);
    else merged.push(piece);
  }
  return merged;
}

const contentsOf = (vocab: Readonly<Record<string, number>>): Pick<TokenizerContents, "tokenizer" | "config"> => ({
  tokenizer: {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: SPECIAL.map(addedToken),
    normalizer: {
      type: "BertNormalizer",
      clean_text: true,
      handle_chinese_chars: true,
      strip_accents: true,
      lowercase: true,
    },
    pre_tokenizer: { type: "BertPreTokenizer" },
    post_processor: betweenEnds(vocab),
    decoder: { type: "WordPiece", prefix: INNER, cleanup: true },
    model: {
      type: "WordPiece",
      unk_token: "[UNK]",
      continuing_subword_prefix: INNER,
      max_input_chars_per_word: MOST_CHARACTERS,
      vocab,
    },
  },
  config: {
    tokenizer_class: "PreTrainedTokenizerFast",
    bos_token: "[BOS]",
    eos_token: "[EOS]",
    pad_token: "[PAD]",
    unk_token: "[UNK]",
  },
});

const addedToken = (content: string, id: number) => ({
  id,
  content,
  single_word: false,
  lstrip: false,
  rstrip: false,
  normalized: false,
  special: true,
});

/** The post-processor that puts one text, or two in a row, between `[BOS]` and `[EOS]`. */
function betweenEnds(vocab: Readonly<Record<string, number>>) {
  const special = (content: string) => ({ SpecialToken: { id: content, type_id: 0 } });
  const text = (id: string, type: number) => ({ Sequence: { id, type_id: type } });
  return {
    type: "TemplateProcessing",
    single: [special("[BOS]"), text("A", 0), special("[EOS]")],
    pair: [special("[BOS]"), text("A", 0), text("B", 1), special("[EOS]")],
    special_tokens: Object.fromEntries(
      ["[BOS]", "[EOS]"].map((token) => [token, { id: token, ids: [vocab[token]], tokens: [token] }]),
    ),
  };
}
