import { TensorARError } from "@tensorar/core";
import { expectInteger } from "../checks";
import type { FeatureSet } from "../feature-set";
import {
  findInput,
  findOutput,
  integerTensor,
  isOpen,
  openSession,
  orRelease,
  type RuntimeSession,
  type RuntimeTensor,
  type RuntimeValue,
  type SessionOptions,
} from "../runtime/session";

/** An ONNX network of texts, and how it takes tokens. */
export interface TextEncoderOptions extends SessionOptions {
  /** Name of the output that holds the embeddings, [N, dims], such as CLIP's "text_embeds". */
  readonly output: string;
  /** Tokens of a text, with those that begin and end it. */
  readonly tokenize: (text: string) => ArrayLike<number>;
  /** Tokens of every text: shorter ones are filled up with `pad`. 77 for CLIP. */
  readonly length: number;
  /** The token that fills up. CLIP looks at none after the end of a text, so any will do there. */
  readonly pad: number;
}

/** A network that turns texts into embeddings, ready to run. */
export interface TextEncoder {
  /** Embeddings of each text, one row each. */
  embed(texts: readonly string[]): Promise<FeatureSet & { readonly data: Float32Array }>;
  /** Frees the runtime's memory. */
  dispose(): Promise<void>;
}

const WHERE = "userTextEncoder";
const MASK = "attention_mask";

/**
 * Opens the text encoder of CLIP or its like, which an ONNX file holds: tokens in (and, where the model has it, the input
 * `attention_mask`), embeddings out.
 *
 * @throws TensorARError where the file can't be opened or has no such input or output; `embed` throws for texts that are too
 *   long, and results of another shape
 */
export async function userTextEncoder(options: TextEncoderOptions): Promise<TextEncoder> {
  expectInteger(WHERE, "length", options.length, 1, 2 ** 16);
  expectInteger(WHERE, "pad", options.pad, 0, 2 ** 31 - 1);
  const session = await openSession(WHERE, options);
  return orRelease(session, () => {
    const mask = session.inputMetadata.find(({ name }) => name === MASK);
    const tokens = findInput(WHERE, session, undefined, mask ? [MASK] : [], "export the text encoder alone");
    const length = tokens.shape?.at(-1);
    if (!isOpen(length) && length !== options.length)
      throw new TensorARError(
        `${WHERE}: input "${tokens.name}" takes ${length} tokens, not length = ${options.length}; set it to that`,
      );
    findOutput(WHERE, session, options.output);
    return {
      embed: (texts) => embed(session, { tokens, mask }, texts, options),
      dispose: () => session.release(),
    };
  });
}

interface Inputs {
  readonly tokens: RuntimeValue;
  readonly mask: RuntimeValue | undefined;
}

async function embed(session: RuntimeSession, inputs: Inputs, texts: readonly string[], options: TextEncoderOptions) {
  const rows: Float32Array[] = [];
  const fixed = inputs.tokens.shape?.[0];
  const batch = isOpen(fixed) ? texts.length : (fixed as number);
  for (let begin = 0; begin < texts.length; begin += batch)
    rows.push(await run(session, inputs, texts.slice(begin, begin + batch), batch, options));
  const data = new Float32Array(rows.reduce((sum, part) => sum + part.length, 0));
  rows.reduce((at, part) => {
    data.set(part, at);
    return at + part.length;
  }, 0);
  return { data, count: texts.length, dims: data.length / texts.length };
}

/** Embeddings of at most `batch` texts; the rest of a fixed batch is padding. */
async function run(
  session: RuntimeSession,
  { tokens, mask }: Inputs,
  texts: readonly string[],
  batch: number,
  { runtime, output, tokenize, length, pad }: TextEncoderOptions,
): Promise<Float32Array> {
  const ids = new Float64Array(batch * length).fill(pad);
  const held = new Uint8Array(batch * length);
  for (const [row, text] of texts.entries()) {
    const own = tokenize(text);
    if (own.length > length)
      throw new TensorARError(`${WHERE}: "${text}" has ${own.length} tokens, more than length = ${length}; shorten it`);
    ids.set(Array.from(own), row * length);
    held.fill(1, row * length, row * length + own.length);
  }
  const dims = [batch, length];
  const results = await session.run(
    {
      [tokens.name]: integerTensor(WHERE, runtime, tokens, ids, dims),
      ...(mask && { [mask.name]: integerTensor(WHERE, runtime, mask, held, dims) }),
    },
    [output],
  );
  const { dims: shape, data, type } = results[output] as RuntimeTensor;
  if (type !== "float32" || shape.length !== 2 || shape[0] !== batch)
    throw new TensorARError(
      `${WHERE}: output "${output}" is ${type} [${shape.join(", ")}], not float32 [${batch}, dims]; choose another output`,
    );
  return (data as Float32Array).slice(0, texts.length * shape[1]!);
}
