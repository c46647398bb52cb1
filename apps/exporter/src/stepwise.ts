import type { ExportManifest, SessionSettings } from "@tensorar/manifest";
import { DECODER, NEXT_SUB_TOKEN } from "@tensorar/manifest";
import type { NodeRuntime } from "@tensorar/onnx/node";
import { type Conditioning, cachedDecoder, type Decoder } from "@tensorar/sampler";
import { openGraph } from "./open-graph";

/**
 * An export's own steps as the generation loop of `@tensorar/sampler` takes them, in float32 whatever the graphs take.
 *
 * @throws TensorARError when ONNX Runtime refuses a file
 */
export async function openStepwise<C>(
  dir: string,
  { tokens, windowSize, vocabSize, cache: { dtype: _, ...cache }, factors, files }: ExportManifest,
  conditioning: Conditioning<C>,
  runtime: NodeRuntime,
  sessions: Readonly<Record<string, SessionSettings>>,
): Promise<{ readonly decoder: Decoder<C>; dispose(): Promise<void> }> {
  const open = (file: string) => openGraph(dir, file, runtime, sessions);
  const step = await open(DECODER);
  const next = files[NEXT_SUB_TOKEN] && (await open(NEXT_SUB_TOKEN));
  const decoder = cachedDecoder<C>({
    tokens,
    windowSize,
    vocabSize,
    cache,
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
