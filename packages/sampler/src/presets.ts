import type { Guidance } from "./guidance";

/** How an original repository samples one of its models when it measures it. */
export interface Preset {
  readonly family: "llamagen" | "rar" | "magvit2" | "janus";
  /** The size, by its name in the original. */
  readonly model: string;
  /** Rows and columns of codes. */
  readonly grid: readonly [number, number];
  /** Pixels of what is generated, and of what is evaluated. */
  readonly imageSize: number;
  readonly evaluationSize: number;
  /** One, or one for each factor of a code. */
  readonly guidance: Guidance | readonly Guidance[];
  readonly temperature: number | readonly number[];
  /** 0 keeps all. */
  readonly topK: number | readonly number[];
  readonly topP: number | readonly number[];
  /** Images that the original measures. */
  readonly images: number;
  /** Where the original says so. */
  readonly source: string;
}

const constant = (scale: number): Guidance => ({ kind: "constant", scale });
const plain = { temperature: 1, topK: 0, topP: 1 } as const;

function llamaGen(model: string, scale: number): Preset {
  const sizes = { grid: [24, 24], imageSize: 384, evaluationSize: 256 } as const;
  const source = "FoundationVision/LlamaGen GETTING_STARTED.md, autoregressive/sample/sample_c2i_ddp.py";
  return { family: "llamagen", model, ...sizes, ...plain, guidance: constant(scale), images: 50_000, source };
}

function rar(model: string, temperature: number, scale: number, power: number): Preset {
  const sizes = { grid: [16, 16], imageSize: 256, evaluationSize: 256 } as const;
  const guidance = { kind: "power-cosine", scale, power } as const;
  const source = "bytedance/1d-tokenizer README_RAR.md, sample_imagenet_rar.py";
  return { family: "rar", model, ...sizes, ...plain, temperature, guidance, images: 50_000, source };
}

/** The pairs are for the first and the second factor of a code. */
function magvit2(model: string, temperature: readonly number[], scales: readonly number[]): Preset {
  const sizes = { grid: [16, 16], imageSize: 256, evaluationSize: 256 } as const;
  const filter = { topK: [0, 0], topP: [1, 1] };
  const source = "TencentARC/Open-MAGVIT2 scripts/evaluation/sample_gpu.sh";
  return {
    family: "magvit2",
    model,
    ...sizes,
    ...filter,
    temperature,
    guidance: scales.map(constant),
    images: 50_000,
    source,
  };
}

/** Settings behind published numbers, by name. */
export const PRESETS: Readonly<Record<string, Preset>> = {
  "llamagen-b-384": llamaGen("GPT-B", 2),
  "llamagen-l-384": llamaGen("GPT-L", 2),
  "llamagen-xl-384": llamaGen("GPT-XL", 1.75),
  "llamagen-xxl-384": llamaGen("GPT-XXL", 1.75),
  "llamagen-3b-384": llamaGen("GPT-3B", 1.65),
  "llamagen-t2i-512": {
    family: "llamagen",
    model: "GPT-XL",
    grid: [32, 32],
    imageSize: 512,
    evaluationSize: 512,
    ...plain,
    topK: 1000,
    guidance: constant(7.5),
    images: 30_000,
    source:
      "FoundationVision/LlamaGen autoregressive/sample/sample_t2i_ddp.py, scripts/autoregressive/sample_t2i_coco.sh",
  },
  "rar-b": rar("RAR-B", 1, 16, 2.75),
  "rar-l": rar("RAR-L", 1.02, 15.5, 2.5),
  "rar-xl": rar("RAR-XL", 1.02, 6.9, 1.5),
  "rar-xxl": rar("RAR-XXL", 1.02, 8, 1.2),
  "open-magvit2-b": magvit2("AR-B", [1, 1], [1.9, 2]),
  "open-magvit2-l": magvit2("AR-L", [1.1, 1], [1.9, 1.9]),
  "open-magvit2-xl": magvit2("AR-XL", [1.1, 1], [1.75, 1.85]),
  "janus-pro": {
    family: "janus",
    model: "Janus-Pro",
    grid: [24, 24],
    imageSize: 384,
    evaluationSize: 384,
    ...plain,
    guidance: constant(5),
    images: 16,
    source: "deepseek-ai/Janus generation_inference.py, which shows images and measures nothing",
  },
};
