/**
 * The network as a list: what each convolution is, and how they are joined. Source: `FIDInceptionA` … `FIDInceptionE_2` and
 * `InceptionV3` of pytorch-fid's `inception.py`, over `torchvision/models/inception.py`.
 */

/** A convolution without bias, batch norm and ReLU. */
export interface Unit {
  readonly kind: "unit";
  readonly name: string;
  readonly from: number;
  readonly to: number;
  /** Rows and columns of the filter. */
  readonly size: readonly [number, number];
  /** 1 keeps the size of the image, unless `valid`; 2 halves it. */
  readonly stride: 1 | 2;
  readonly valid: boolean;
}

export type Step =
  | Unit
  /** Largest of 3 × 3: every second one, without a border. */
  | { readonly kind: "shrink" }
  /** Mean of 3 × 3; beyond the border nothing counts. */
  | { readonly kind: "mean" }
  /** Largest of 3 × 3, of the same size. */
  | { readonly kind: "largest" }
  /** Paths side by side, whose channels are joined. */
  | { readonly kind: "fork"; readonly paths: readonly (readonly Step[])[] };

/** A part of the network whose output has a name. */
export interface Block {
  readonly name: string;
  readonly steps: readonly Step[];
}

type Size = number | readonly [number, number];

function unit(name: string, from: number, to: number, size: Size = 1, how: "same" | "valid" | "half" = "same"): Unit {
  const sides = typeof size === "number" ? ([size, size] as const) : size;
  return { kind: "unit", name, from, to, size: sides, stride: how === "half" ? 2 : 1, valid: how !== "same" };
}

const fork = (...paths: (readonly Step[])[]): Step => ({ kind: "fork", paths });
const shrink: Step = { kind: "shrink" };
const mean: Step = { kind: "mean" };
const [row, column] = [
  [1, 7],
  [7, 1],
] as const;

const mixedA = (name: string, from: number, pooled: number): Block => ({
  name,
  steps: [
    fork(
      [unit(`${name}.branch1x1`, from, 64)],
      [unit(`${name}.branch5x5_1`, from, 48), unit(`${name}.branch5x5_2`, 48, 64, 5)],
      [
        unit(`${name}.branch3x3dbl_1`, from, 64),
        unit(`${name}.branch3x3dbl_2`, 64, 96, 3),
        unit(`${name}.branch3x3dbl_3`, 96, 96, 3),
      ],
      [mean, unit(`${name}.branch_pool`, from, pooled)],
    ),
  ],
});

const mixedC = (name: string, width: number): Block => ({
  name,
  steps: [
    fork(
      [unit(`${name}.branch1x1`, 768, 192)],
      [
        unit(`${name}.branch7x7_1`, 768, width),
        unit(`${name}.branch7x7_2`, width, width, row),
        unit(`${name}.branch7x7_3`, width, 192, column),
      ],
      [
        unit(`${name}.branch7x7dbl_1`, 768, width),
        unit(`${name}.branch7x7dbl_2`, width, width, column),
        unit(`${name}.branch7x7dbl_3`, width, width, row),
        unit(`${name}.branch7x7dbl_4`, width, width, column),
        unit(`${name}.branch7x7dbl_5`, width, 192, row),
      ],
      [mean, unit(`${name}.branch_pool`, 768, 192)],
    ),
  ],
});

/** A row filter and a column filter side by side. */
const cross = (name: string): Step => fork([unit(`${name}a`, 384, 384, [1, 3])], [unit(`${name}b`, 384, 384, [3, 1])]);

const mixedE = (name: string, from: number, pool: Step): Block => ({
  name,
  steps: [
    fork(
      [unit(`${name}.branch1x1`, from, 320)],
      [unit(`${name}.branch3x3_1`, from, 384), cross(`${name}.branch3x3_2`)],
      [
        unit(`${name}.branch3x3dbl_1`, from, 448),
        unit(`${name}.branch3x3dbl_2`, 448, 384, 3),
        cross(`${name}.branch3x3dbl_3`),
      ],
      [pool, unit(`${name}.branch_pool`, from, 192)],
    ),
  ],
});

/** From `[N, 299, 299, 3]` to `[N, 8, 8, 2048]`. */
export const BLOCKS: readonly Block[] = [
  { name: "Conv2d_1a_3x3", steps: [unit("Conv2d_1a_3x3", 3, 32, 3, "half")] },
  { name: "Conv2d_2a_3x3", steps: [unit("Conv2d_2a_3x3", 32, 32, 3, "valid")] },
  { name: "Conv2d_2b_3x3", steps: [unit("Conv2d_2b_3x3", 32, 64, 3)] },
  { name: "block0", steps: [shrink] },
  { name: "Conv2d_3b_1x1", steps: [unit("Conv2d_3b_1x1", 64, 80)] },
  { name: "Conv2d_4a_3x3", steps: [unit("Conv2d_4a_3x3", 80, 192, 3, "valid")] },
  { name: "block1", steps: [shrink] },
  mixedA("Mixed_5b", 192, 32),
  mixedA("Mixed_5c", 256, 64),
  mixedA("Mixed_5d", 288, 64),
  {
    name: "Mixed_6a",
    steps: [
      fork(
        [unit("Mixed_6a.branch3x3", 288, 384, 3, "half")],
        [
          unit("Mixed_6a.branch3x3dbl_1", 288, 64),
          unit("Mixed_6a.branch3x3dbl_2", 64, 96, 3),
          unit("Mixed_6a.branch3x3dbl_3", 96, 96, 3, "half"),
        ],
        [shrink],
      ),
    ],
  },
  mixedC("Mixed_6b", 128),
  mixedC("Mixed_6c", 160),
  mixedC("Mixed_6d", 160),
  mixedC("Mixed_6e", 192),
  {
    name: "Mixed_7a",
    steps: [
      fork(
        [unit("Mixed_7a.branch3x3_1", 768, 192), unit("Mixed_7a.branch3x3_2", 192, 320, 3, "half")],
        [
          unit("Mixed_7a.branch7x7x3_1", 768, 192),
          unit("Mixed_7a.branch7x7x3_2", 192, 192, row),
          unit("Mixed_7a.branch7x7x3_3", 192, 192, column),
          unit("Mixed_7a.branch7x7x3_4", 192, 192, 3, "half"),
        ],
        [shrink],
      ),
    ],
  },
  mixedE("Mixed_7b", 1280, mean),
  mixedE("Mixed_7c", 2048, { kind: "largest" }), // as in the TensorFlow graph of 2015
];

/** Classes of the network's head. */
export const CLASSES = 1008;
/** Width of the pooled features. */
export const POOLED = 2048;

function unitsOf(steps: readonly Step[]): Unit[] {
  return steps.flatMap((step) =>
    step.kind === "unit" ? [step] : step.kind === "fork" ? step.paths.flatMap(unitsOf) : [],
  );
}

/** Shape of every tensor that is read, by its name in `pt_inception-2015-12-05-6726825d.pth`; filters are OIHW. */
export function inceptionShapes(): Readonly<Record<string, readonly number[]>> {
  const units = BLOCKS.flatMap(({ steps }) => unitsOf(steps));
  return Object.fromEntries([
    ...units.flatMap(({ name, from, to, size }) => [
      [`${name}.conv.weight`, [to, from, ...size]],
      ...["weight", "bias", "running_mean", "running_var"].map((part) => [`${name}.bn.${part}`, [to]]),
    ]),
    ["fc.weight", [CLASSES, POOLED]],
    ["fc.bias", [CLASSES]],
  ]);
}
