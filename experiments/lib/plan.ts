import { TensorARError } from "@tensorar/core";

/** Settings of a command, by flag without dashes, as a configuration file has them. */
export type Settings = Readonly<Record<string, string | number | boolean | readonly (string | number)[]>>;

/** A model that is trained, once for each seed. */
export interface ModelPlan {
  readonly name: string;
  /** What a row of results calls it. */
  readonly model: "base" | "control" | "tensorar";
  readonly command: "pretrain" | "finetune";
  readonly settings: Settings;
  /** Fewer seeds than the main rows have; 1 for ablations. */
  readonly seeds?: number;
}

/** How drafts are fed back. */
export interface DraftPlan {
  readonly drafts: string;
  /** λ: the fraction of the trust in a token's own drafts that is taken back. */
  readonly lambda: number;
}

/** Everything about one data set. */
export interface ExperimentPlan {
  readonly dataset: string;
  readonly data: Settings;
  /** Trained on `data` of its own: a set of images that includes those of the experiment, split alike. */
  readonly tokenizer: { readonly data: Settings; readonly settings: Settings };
  readonly classifier: Settings;
  readonly models: readonly ModelPlan[];
  readonly seeds: number;
  /** What is tried on validation images, with every model alike. */
  readonly temperatures: readonly number[];
  readonly scales: readonly number[];
  /** Of TensorAR: tried at the temperature and scale that the first of them is best at. */
  readonly drafts: readonly DraftPlan[];
  /** Samples for each validation image, of every way that is tried, and for each test image. */
  readonly samplesPerImage: Readonly<Record<"validation" | "test", number>>;
}

/** How much is trained: `small` shows that everything works, in minutes; `full` gives results. */
export type Size = "small" | "full";

/** Of all trainings on codes. The best of the held-out losses decides which weights are kept. */
const TRAINING: Settings = {
  precision: "float16",
  batchSize: 32,
  dropout: 0.1,
  validateEvery: 50,
  emaDecay: 0.99,
  checkpointEvery: 200,
};
const BODY: Settings = { width: 128, layers: 4, heads: 4 };
/** Noise by position, which makes the body read the drafts of other tokens, and blanks. */
const INPUTS: Settings = { windowSize: 4, hidden: 0.5, blank: 0.5, noiseRates: [0.1, 0.1, 0.1] };
const LONG: Settings = { ...TRAINING, learningRate: 0.0015, steps: 4000, patience: 6 };
const SHORT: Settings = { ...TRAINING, steps: 600, warmupSteps: 20 };

/** The base with other settings, so that it is known to be at its best when others are compared with it. */
const tried = (change: Settings): ModelPlan => ({
  name: `base-${Object.entries(change).flat().join("-")}`,
  model: "base",
  command: "pretrain",
  settings: { ...BODY, ...LONG, ...change },
  seeds: 1,
});

const MODELS: readonly ModelPlan[] = [
  { name: "base", model: "base", command: "pretrain", settings: { ...BODY, ...LONG } },
  {
    name: "tensorar-finetuned",
    model: "tensorar",
    command: "finetune",
    settings: { ...SHORT, ...INPUTS, learningRate: 0.0015, bodyRate: 0.2 },
  },
  {
    name: "control",
    model: "control",
    command: "finetune",
    settings: { ...SHORT, windowSize: 1, learningRate: 0.0003 },
  },
  {
    name: "tensorar-from-scratch",
    model: "tensorar",
    command: "pretrain",
    settings: { ...BODY, ...LONG, ...INPUTS, lossWeights: [1, 0.3, 0.3, 0.3] },
  },
  tried({ dropout: 0.2 }),
  tried({ learningRate: 0.001 }),
  tried({ learningRate: 0.0025 }),
];

const EMOJI: ExperimentPlan = {
  dataset: "emoji",
  data: { source: "emoji" },
  tokenizer: {
    data: { source: "emoji-text" },
    settings: {
      channels: 32,
      channelMultipliers: [1, 2, 2],
      resBlocks: 1,
      latentChannels: 64,
      codebookSize: 512,
      codeWidth: 8,
      batchSize: 32,
      steps: 4000,
      emaDecay: 0.995,
    },
  },
  classifier: {
    widths: [16, 32, 64, 128],
    hidden: 64,
    dropout: 0.3,
    shift: 2,
    steps: 1500,
    batchSize: 64,
    schedule: "cosine",
    emaDecay: 0.99,
  },
  models: MODELS,
  seeds: 3,
  temperatures: [1, 0.8, 0.6],
  scales: [1, 2, 3],
  drafts: [
    { drafts: "raw", lambda: 1 },
    { drafts: "raw", lambda: 0.5 },
    { drafts: "raw", lambda: 0 },
    { drafts: "renoise", lambda: 1 },
  ],
  samplesPerImage: { validation: 2, test: 5 },
};

/** As small as can be: everything is done, nothing is learnt. */
function shrunk(plan: ExperimentPlan): ExperimentPlan {
  const few: Settings = { steps: 4, batchSize: 8 };
  const tiny: Settings = { ...few, validateEvery: 2, emaDecay: 0.5 };
  const named = new Set(["base", "control", "tensorar-finetuned"]);
  return {
    ...plan,
    tokenizer: {
      data: plan.data,
      settings: { ...plan.tokenizer.settings, ...few, channels: 32, latentChannels: 32, codebookSize: 16 },
    },
    classifier: { ...plan.classifier, ...few, widths: [4, 4, 4, 4], hidden: 8 },
    models: plan.models
      .filter(({ name }) => named.has(name))
      .map((model) => ({
        ...model,
        settings: {
          ...model.settings,
          ...tiny,
          ...(model.command === "pretrain" && { width: 16, layers: 1, heads: 2 }),
        },
      })),
    seeds: 1,
    temperatures: [1],
    scales: [1],
    drafts: plan.drafts.slice(0, 1),
    samplesPerImage: { validation: 0.1, test: 0.1 },
  };
}

const PLANS: readonly ExperimentPlan[] = [EMOJI];

/** @throws TensorARError for a data set that has no plan */
export function planOf(dataset: string, size: Size): ExperimentPlan {
  const plan = PLANS.find((each) => each.dataset === dataset);
  if (!plan)
    throw new TensorARError(
      `there is no experiment "${dataset}"; choose from ${PLANS.map((each) => each.dataset).join(", ")}`,
    );
  return size === "small" ? shrunk(plan) : plan;
}
