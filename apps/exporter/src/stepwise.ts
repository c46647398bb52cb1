import { DECODER, NEXT_SUB_TOKEN } from "@tensorar/manifest";
import { type Conditioning, cachedDecoder, type Decoder } from "@tensorar/sampler";
import type { OpenedExport } from "./opened-export";

/**
 * An export's own steps as the generation loop of `@tensorar/sampler` takes them, in float32 whatever the graphs take.
 *
 * @throws TensorARError when ONNX Runtime refuses a file
 */
export async function openStepwise<C>(
  { manifest, open }: OpenedExport,
  conditioning: Conditioning<C>,
): Promise<{ readonly decoder: Decoder<C>; dispose(): Promise<void> }> {
  const { tokens, windowSize, vocabSize, cache, factors, files } = manifest;
  const { dtype: _, ...sizes } = cache;
  const step = await open(DECODER);
  const next = files[NEXT_SUB_TOKEN] && (await open(NEXT_SUB_TOKEN));
  const decoder = cachedDecoder<C>({
    tokens,
    windowSize,
    vocabSize,
    cache: sizes,
    conditioning,
    run: step.run,
    ...(next && { factors: factors!, nextSubToken: next.run }),
  });
  return {
    decoder,
    async dispose() {
      await step.dispose();
      await next?.dispose();
    },
  };
}
