import { type LoadedModel, toParams } from "@tensorar/model";
import { type ComposedModel, loop, type TraceOptions } from "@tensorar/onnx";
import { type GraphSampling, generationLoop } from "@tensorar/sampler/graph";
import type { LoadedTextEncoder } from "@tensorar/text-encoder/node";
import { createTokenizer, type TokenizerKind } from "@tensorar/tokenizer";
import type { TokenizerFolder } from "@tensorar/tokenizer/node";
import * as tf from "@tensorflow/tfjs-core";
import type { SourceSizes } from "./sources";
import { readingTexts } from "./text-encoder";

/**
 * All of generation as one graph, with the inputs of `generationLoop` of `@tensorar/sampler/graph`: the loop over tokens, guidance,
 * filters, random numbers, drafts and the image decoder. Outputs: `codes` int32 [B, T] and `images` float32 [B, height, width, 3].
 *
 * For ONNX Runtime's own providers, the loop flushes. A loop inside of a loop is nothing that every runtime takes, so for others it
 * carries the whole cache.
 *
 * @param textEncoder of a model of captions: the graph takes texts as tokens then
 * @throws TensorARError for models that can't be guided
 */
export function endToEndGraph(
  folder: LoadedModel,
  tokenizerFolder: TokenizerFolder<TokenizerKind>,
  { grid, padId, evidence }: SourceSizes,
  sampling: GraphSampling,
  form: Pick<TraceOptions, "fuse" | "quantize">,
  textEncoder?: LoadedTextEncoder,
): ComposedModel {
  const { noiseRates } = folder;
  const { model, params } = textEncoder
    ? readingTexts(folder, textEncoder)
    : { model: folder.model, params: toParams(folder.tensors) };
  const pixels = toParams(tokenizerFolder.tensors);
  const tokenizer = createTokenizer(tokenizerFolder);
  const flushes = form.fuse !== undefined;
  try {
    const { flush, ...parts } = generationLoop(model, params, { ...sampling, noiseRates, evidence, padId, flushes });
    return loop("generation", {
      ...parts,
      after: ({ carry: { codes } }) => ({
        codes: tf.mul(codes, tf.scalar(1, "int32")),
        images: tokenizer.decode(pixels, codes as tf.Tensor2D, grid),
      }),
      ...(flush && { flush: { ...flush, ownWeights: form.fuse === "cpu" } }),
      trace: { weights: params, ...form },
      traceAfter: { weights: { "image-decoder": pixels }, ...(form.fuse && { fuse: form.fuse }) },
    });
  } finally {
    tf.dispose([params, pixels]);
  }
}
