import { type LoadedModel, toParams } from "@tensorar/model";
import { type ComposedModel, composeLoop, type TraceOptions, trace } from "@tensorar/onnx";
import { type GraphSampling, generationLoop } from "@tensorar/sampler/graph";
import { createTokenizer, type TokenizerKind } from "@tensorar/tokenizer";
import type { TokenizerFolder } from "@tensorar/tokenizer/node";
import * as tf from "@tensorflow/tfjs-core";
import type { SourceSizes } from "./sources";
import { withoutUnusedInputs } from "./unused-inputs";

/**
 * All of generation as one graph, with the inputs of `generationLoop` of `@tensorar/sampler/graph`: the loop over tokens, guidance,
 * filters, random numbers, drafts and the image decoder. Outputs: `codes` int32 [B, T] and `images` float32 [B, height, width, 3].
 *
 * For ONNX Runtime's own providers, the cache is held outside of the loop's state, and recent positions join it after every √T
 * steps, when least is copied in all. A loop inside of a loop is nothing that every runtime takes, so for others the state holds
 * all.
 *
 * @throws TensorARError for models that can't be guided
 */
export function wholeGeneration(
  folder: LoadedModel,
  tokenizerFolder: TokenizerFolder<TokenizerKind>,
  { grid, padId }: SourceSizes,
  sampling: GraphSampling,
  form: Pick<TraceOptions, "fuse" | "quantize">,
): ComposedModel {
  const { model } = folder;
  const { tokens: T } = model.backbone;
  const params = toParams(folder.tensors);
  const pixels = toParams(tokenizerFolder.tensors);
  const tokenizer = createTokenizer(tokenizerFolder);
  const flushes = form.fuse !== undefined;
  const ofModel = { weights: params, ...form };
  const after = ({ final: { codes } }: { final: { codes: tf.Tensor } }) => ({
    codes: tf.mul(codes, tf.scalar(1, "int32")),
    images: tokenizer.decode(pixels, codes as tf.Tensor2D, grid),
  });
  try {
    const { specs, before, body, flush } = generationLoop(model, params, {
      ...sampling,
      ...{ noiseRates: folder.noiseRates, padId, flushes },
    });
    return composeLoop("generation", {
      before: trace(before as never, specs.before as never, ofModel),
      body: withoutUnusedInputs(trace(body as never, specs.body as never, ofModel), "fixed/"),
      after: trace(after as never, { final: { codes: specs.body.state.codes } } as never, {
        weights: { "image-decoder": pixels },
        ...(form.fuse && { fuse: form.fuse }),
      }),
      trips: T,
      ...(flushes && {
        settle: {
          ...{ every: Math.ceil(Math.sqrt(T)), ownWeights: form.fuse === "cpu" },
          part: trace(flush as never, specs.flush as never, form),
        },
      }),
    });
  } finally {
    tf.dispose([params, pixels]);
  }
}
