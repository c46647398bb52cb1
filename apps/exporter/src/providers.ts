import { TensorARError } from "@tensorar/core";
import type { ExportManifest, SessionSettings, Target } from "@tensorar/manifest";
import { compile } from "@tensorar/onnx";
import { type NodeRuntime, PROVIDER_REMEDIES, runtimeReason } from "@tensorar/onnx/node";
import type * as tf from "@tensorflow/tfjs-core";
import { sessionSettings } from "./targets";

/**
 * What each graph of an export is opened with: the settings in its manifest, or those for another target. The provider has
 * run a small graph then, so that what fails later is the export's fault.
 *
 * @throws TensorARError when the provider is not in this build of ONNX Runtime, or does not start here
 */
export async function availableSessions(
  runtime: NodeRuntime,
  manifest: ExportManifest,
  provider: Target | undefined,
): Promise<Readonly<Record<string, SessionSettings>>> {
  const sessions = provider === undefined ? manifest.sessions : sessionSettings(provider, manifest.files, manifest);
  const preferred = new Set(Object.values(sessions).map(({ executionProviders: [first] }) => nameOf(first!)));
  for (const name of preferred) await requireProvider(runtime, name);
  return sessions;
}

const nameOf = (provider: SessionSettings["executionProviders"][number]): string =>
  typeof provider === "string" ? provider : provider.name;

/** ONNX Runtime leaves out some providers that it lacks and goes on without; a proof must not. */
async function requireProvider(runtime: NodeRuntime, provider: string): Promise<void> {
  const refuse = (reason: string, cause?: unknown): never => {
    const remedy = PROVIDER_REMEDIES[provider] ?? "choose another";
    throw new TensorARError(
      `ONNX Runtime can't run on ${provider} here: ${reason}; ${remedy}; or run on the processor with --provider cpu`,
      { cause },
    );
  };
  const supported = runtime.listSupportedBackends().map(({ name }) => name);
  if (!supported.includes(provider)) refuse(`onnxruntime-node has only ${supported.join(", ")} on ${process.platform}`);
  if (provider === "cpu") return;
  const double = ({ x }: { x: tf.Tensor }) => ({ y: x.add(x) });
  const inputs = { x: { dtype: "float32", shape: [1] } } as const;
  try {
    const run = await compile(double, inputs, { runtime, providers: [provider] });
    await run({ x: { dtype: "float32", shape: [1], data: Float32Array.of(1) } });
    await run.dispose();
  } catch (cause) {
    refuse(runtimeReason(((cause as Error).cause as Error | undefined)?.message ?? (cause as Error).message), cause);
  }
}
