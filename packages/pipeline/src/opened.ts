import type { Runtime } from "@tensorar/onnx/run";
import type { Caption, Decoder } from "@tensorar/sampler";
import type { Device } from "./device";
import type { Folder } from "./folder";

/** What images of a model are conditioned on. */
export type Conditions =
  /** Classes 0 … count-1. `none` stands for none of them, -1 where the model has no such class. */
  | { readonly kind: "class"; readonly count: number; readonly none: number }
  /** Text tokens below `below`, of a description in place of the template's `{}`; of longer ones the first `maxTokens` are read. */
  | {
      readonly kind: "prompt";
      readonly below: number;
      readonly padId: number;
      readonly template: string;
      readonly maxTokens?: number | undefined;
    }
  /** Features of a caption, [positions, width]. */
  | { readonly kind: "caption"; readonly positions: number; readonly width: number };

/** The condition of one image: a class, text tokens or a caption. */
export type AnyCondition = number | ArrayLike<number> | Caption;

/** What is known of a model. */
export interface Description {
  /** T: codes of an image. */
  readonly tokens: number;
  /** k */
  readonly windowSize: number;
  /** V */
  readonly vocabSize: number;
  /** Rows and columns of codes. */
  readonly grid: readonly [number, number];
  /** Height and width in pixels. */
  readonly imageSize: number;
  readonly classes: readonly string[];
  /** Noise rates β(j) of its training, which drafts of kind `renoise` take. */
  readonly noiseRates: readonly number[];
  /** s_1 … s_(k-1) of explicit evidence, which its logits are without. */
  readonly evidence?: readonly number[] | undefined;
  /** Whether it knows blanks. */
  readonly blanks: boolean;
  readonly conditions: Conditions;
}

/** A model that is ready to run. */
export interface Opened {
  readonly description: Description;
  /** Conditions are what `conditions` of the description says. */
  readonly decoder: Decoder<AnyCondition>;
  /** codes [N, T] → pixels [N, S, S, 3] in [-1, 1] */
  decode(codes: Int32Array): Promise<Float32Array>;
  dispose(): Promise<void>;
}

/** Opens a model folder and its tokenizer: `tracing` of `@tensorar/pipeline/tracing`. */
export type Tracing = (sources: {
  readonly config: unknown;
  readonly model: Folder;
  readonly tokenizer: Folder;
  readonly runtime: Runtime;
  readonly device: Device;
  readonly signal: AbortSignal | undefined;
}) => Promise<Opened>;
