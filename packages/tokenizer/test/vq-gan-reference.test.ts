import "./backend";
import {
  expectTensor,
  hashValues,
  type ReferenceCase,
  requireCases,
  type Tolerance,
  valuesOf,
  type WeightRecipe,
} from "@tensorar/testing";
import * as tf from "@tensorflow/tfjs-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { lpips } from "../../metrics/src/lpips/lpips";
import {
  type Adversary,
  adversarialWeight,
  adversaryLosses,
  type DiscriminatorLoss,
  type GeneratorLoss,
  isStatistic,
  type VqConfig,
  type VqGanOptions,
  vqGanLosses,
  vqGanWeight,
  withoutPrefix,
} from "../src";
import { channelsFirst, channelsLast } from "./layout";
import { casesFrom } from "./vq-cases";

interface Json {
  readonly vq_config: VqConfig;
  readonly vq_ch: number;
  readonly vq_num_res_blocks: number;
  readonly vq_seed: string;
  readonly vq_weights: readonly WeightRecipe[];
  readonly loss_weights: readonly WeightRecipe[];
  readonly generator_grad_names: readonly string[];
  readonly options: {
    readonly disc_loss: DiscriminatorLoss;
    readonly gen_adv_loss: GeneratorLoss;
    readonly disc_weight: number;
    readonly disc_adaptive_weight: boolean;
    readonly reconstruction_loss: "l1" | "l2";
    readonly reconstruction_weight: number;
    readonly perceptual_weight: number;
    readonly disc_start: number;
    readonly disc_dim: number;
    readonly disc_num_layers: number;
  };
  readonly results: Readonly<
    Record<string, { readonly adaptive_weight: number | null; readonly codebook_loss: readonly number[] }>
  >;
}

const cases = casesFrom<Json>("FoundationVision/LlamaGen", "/vq_loss.py").filter(({ json }) => "vq_weights" in json);
requireCases("VQLoss", cases);

for (const each of cases) describe(each.name, () => parity(each));

function parity({ json, expected }: ReferenceCase<Json>): void {
  const { options, results } = json;
  const tolerances = json.tolerances as Record<"losses" | "grads" | "adaptive_weight", Tolerance>;
  const config: VqConfig = { ...json.vq_config, ch: json.vq_ch, num_res_blocks: json.vq_num_res_blocks };
  let params: Record<string, tf.Tensor>;
  let adversary: Adversary;
  let perceptual: Record<string, tf.Tensor>;
  const made = (seed: string, recipes: readonly WeightRecipe[]) =>
    Object.fromEntries(
      recipes.map(({ name, shape, offset, scale }) => {
        const length = shape.reduce((product, size) => product * size, 1);
        return [name, tf.tensor(hashValues(`${seed}/${name}`, length, offset, scale), [...shape])];
      }),
    );
  beforeAll(() => {
    params = made(json.vq_seed, json.vq_weights);
    const others = made(json.seed, json.loss_weights);
    perceptual = withoutPrefix(others, "perceptual_loss.");
    const config = { ndf: options.disc_dim, n_layers: options.disc_num_layers };
    adversary = { config, params: withoutPrefix(others, "discriminator.") };
  });
  afterAll(() => tf.dispose([params, adversary.params, perceptual]));

  const given = (): VqGanOptions => ({
    reconstruction: { l1: 0, l2: 0, [options.reconstruction_loss]: options.reconstruction_weight },
    perceptual: { distance: (a, b) => lpips(perceptual, a, b), weight: options.perceptual_weight },
    generatorLoss: options.gen_adv_loss,
  });
  const norms = (tensors: readonly tf.Tensor[]) => {
    const data = Float32Array.from(tensors, (each) => tf.norm(each).dataSync()[0]!);
    return { shape: [data.length], data };
  };
  /** Some gradients are 0 in exact arithmetic, such as that of a bias before a norm: rounding is compared with the largest. */
  const ofAll = (tensors: readonly tf.Tensor[]) => ({
    ...tolerances.grads,
    atol: 1e-6 * Math.max(...norms(tensors).data),
  });
  const number = (value: number) => ({ shape: [], data: Float32Array.of(value) });

  test.each(Object.keys(results).filter((name) => name.startsWith("step")))("%s", (step) => {
    const weight = adversarialWeight(options.disc_weight, Number(/\d+/.exec(step)![0]), options.disc_start);
    const image = channelsLast(expected("image"));
    tf.tidy(() => {
      const names = json.generator_grad_names;
      const adaptive = options.disc_adaptive_weight
        ? vqGanWeight(params, { kind: "vq", config }, image, adversary, given())
        : tf.scalar(1);
      const opposition = tf.mul(adaptive, weight) as tf.Scalar;
      let losses: ReturnType<typeof vqGanLosses> | undefined;
      const { value, grads } = tf.valueAndGrads((...weights: tf.Tensor[]) => {
        const own = { ...params, ...Object.fromEntries(names.map((name, i) => [name, weights[i]!])) };
        losses = vqGanLosses(own, { kind: "vq", config }, image, adversary, opposition, given());
        for (const each of [...Object.values(losses.quantizer.losses), losses.reconstructed]) tf.keep(each);
        return losses.total;
      })(names.map((name) => params[name]!));
      const { quantizer, reconstructed } = losses!;
      expectTensor("total", valuesOf(value), expected(`${step}.generator_loss`), tolerances.losses);
      expectTensor("gradients", norms(grads), expected(`${step}.generator_grad_norms`), ofAll(grads));
      const last = grads[names.indexOf("decoder.conv_out.weight")]!;
      const filter = { shape: last.shape, data: last.dataSync<"float32">() };
      // Entries near 0 are sums whose terms cancel: compared at the size of the whole gradient.
      const largest = Math.max(...filter.data.map(Math.abs));
      const tolerance = { ...tolerances.grads, atol: 1e-3 * largest };
      expectTensor("last layer", filter, expected(`${step}.grad_last_layer`), tolerance);
      const { codebook_loss, adaptive_weight } = results[step]!;
      expectTensor("vq", valuesOf(quantizer.losses.vq_loss!), number(codebook_loss[0]!), tolerances.losses);
      expectTensor("commit", valuesOf(quantizer.losses.commit_loss!), number(codebook_loss[1]!), tolerances.losses);
      expectTensor("adaptive", valuesOf(adaptive), number(adaptive_weight ?? 1), tolerances.adaptive_weight);

      const learned = Object.keys(adversary.params).filter((name) => !isStatistic(name));
      const opposing = tf.valueAndGrads((...weights: tf.Tensor[]) => {
        const own = { ...adversary.params, ...Object.fromEntries(learned.map((name, i) => [name, weights[i]!])) };
        const against = { config: adversary.config, params: own };
        return adversaryLosses(against, image, reconstructed, weight, options.disc_loss).loss;
      })(learned.map((name) => adversary.params[name]!));
      expectTensor("adversary", valuesOf(opposing.value), expected(`${step}.discriminator_loss`), tolerances.losses);
      expectTensor("its gradients", norms(opposing.grads), expected(`${step}.disc_grad_norms`), ofAll(opposing.grads));
      expectTensor("reconstruction", channelsFirst(reconstructed), expected("reconstruction"), {
        atol: 1e-5,
        rtol: 1e-4,
      });
      tf.dispose([...Object.values(quantizer.losses), reconstructed]);
    });
    image.dispose();
  });
}

test("a whole loss is asked for at more than one step", () => {
  for (const { json } of cases) expect(Object.keys(json.results).length).toBeGreaterThan(1);
});
