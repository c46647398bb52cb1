import * as tf from "@tensorflow/tfjs-core";

/**
 * One row for every kernel that can be traced: a function that runs it, and inputs of several shapes. The tests run each
 * row eagerly and compiled; the README's list of kernels is generated from the rows.
 */
export interface KernelCase {
  readonly kernel: string;
  /** What the function does, where a kernel has several rows. */
  readonly what?: string;
  // biome-ignore lint/suspicious/noExplicitAny: ops are typed by rank, rows give tensors of many
  readonly run: (...inputs: any[]) => tf.Tensor | tf.Tensor[];
  readonly inputs: readonly (readonly InputSpec[])[];
  /** How gradients are checked: against tfjs, against finite differences where tfjs is wrong or has none, or not at all. */
  readonly gradient?: "tfjs" | "differences";
  /** Largest error, relative to 1 + |expected|. Default 2e-5: a few roundings of float32. */
  readonly tolerance?: number;
}

export interface InputSpec {
  readonly dtype: "float32" | "int32" | "bool";
  readonly shape: readonly number[];
  readonly low: number;
  readonly high: number;
}

const f = (shape: number[], low = -2, high = 2): InputSpec => ({ dtype: "float32", shape, low, high });
/** Integers in [low, high). */
const i = (shape: number[], low = -9, high = 10): InputSpec => ({ dtype: "int32", shape, low, high });
const b = (shape: number[]): InputSpec => ({ dtype: "bool", shape, low: 0, high: 2 });

type Run = KernelCase["run"];
type Options = Partial<Pick<KernelCase, "gradient" | "tolerance" | "what">>;

const SHAPES = [[], [5], [2, 3], [2, 1, 3, 2]];
const smooth: Options = { gradient: "tfjs" };

const unary = (kernel: string, run: Run, low = -2, high = 2, options: Options = smooth): KernelCase => ({
  kernel,
  run,
  inputs: SHAPES.map((shape) => [f(shape, low, high)]),
  ...options,
});

const PAIRS = [
  [[], []],
  [[4], [4]],
  [[2, 3], [3]],
  [
    [2, 1, 3],
    [4, 1],
  ],
] as const;
const binary = (kernel: string, run: Run, low = -2, high = 2, options: Options = smooth): KernelCase => ({
  kernel,
  run,
  inputs: PAIRS.map(([p, q]) => [f([...p], low, high), f([...q], low, high)]),
  ...options,
});
const SAME = SHAPES.map((shape) => [f(shape), f(shape)]);
const integers = (kernel: string, run: Run): KernelCase => ({
  kernel,
  run,
  what: "int32",
  inputs: PAIRS.map(([p, q]) => [i([...p]), i([...q], 1, 5)]),
});
const compared = (kernel: string, run: Run): readonly KernelCase[] => [
  { kernel, run, inputs: PAIRS.map(([p, q]) => [i([...p], 0, 3), i([...q], 0, 3)]), what: "int32" },
  { kernel, run, inputs: PAIRS.map(([p, q]) => [f([...p]), f([...q])]), what: "float32" },
];
const logic = (kernel: string, run: Run): KernelCase => ({
  kernel,
  run,
  inputs: PAIRS.map(([p, q]) => [b([...p]), b([...q])]),
});
const reduced = (
  kernel: string,
  op: (x: tf.Tensor, axis?: number | number[], keep?: boolean) => tf.Tensor,
  options: Options = smooth,
): readonly KernelCase[] => [
  { kernel, what: "all axes", run: (x) => op(x), inputs: [[f([3])], [f([2, 3, 4])]], ...options },
  { kernel, what: "last axis", run: (x) => op(x, -1), inputs: [[f([3])], [f([2, 3, 4])]], ...options },
  {
    kernel,
    what: "two axes, kept",
    run: (x) => op(x, [0, 2], true),
    inputs: [[f([2, 3, 4])], [f([3, 1, 2, 2])]],
    ...options,
  },
];

const elementwise: readonly KernelCase[] = [
  unary("Abs", (x) => tf.abs(x)),
  unary("Acos", (x) => tf.acos(x), -0.9, 0.9),
  unary("Acosh", (x) => tf.acosh(x), 1.1, 4),
  binary("Add", (x, y) => tf.add(x, y)),
  integers("Add", (x, y) => tf.add(x, y)),
  { kernel: "AddN", run: (x, y, z) => tf.addN([x, y, z]), inputs: [[f([2, 3]), f([2, 3]), f([2, 3])]], ...smooth },
  unary("Asin", (x) => tf.asin(x), -0.9, 0.9),
  unary("Asinh", (x) => tf.asinh(x)),
  unary("Atan", (x) => tf.atan(x)),
  binary("Atan2", (x, y) => tf.atan2(x, y)),
  {
    kernel: "Atan2",
    what: "on the axes",
    run: (x, y) => tf.atan2(tf.cast(x, "float32"), tf.cast(y, "float32")),
    inputs: [[i([40], -1, 2), i([40], -1, 2)]],
  },
  unary("Atanh", (x) => tf.atanh(x), -0.9, 0.9),
  { kernel: "BitwiseAnd", run: (x, y) => tf.bitwiseAnd(x, y), inputs: [[i([7], 0, 99), i([7], 0, 99)]] },
  { kernel: "Cast", what: "float32 to int32", run: (x) => tf.cast(x, "int32"), inputs: [[f([9], -5, 5)]] },
  { kernel: "Cast", what: "int32 to float32", run: (x) => tf.cast(x, "float32"), inputs: [[i([2, 3])]] },
  { kernel: "Cast", what: "bool to float32", run: (x) => tf.cast(x, "float32"), inputs: [[b([2, 3])]] },
  { kernel: "Cast", what: "int32 to bool", run: (x) => tf.cast(x, "bool"), inputs: [[i([9], -1, 2)]] },
  unary("Ceil", (x) => tf.ceil(x)),
  unary("ClipByValue", (x) => tf.clipByValue(x, -0.5, 1)),
  unary("Cos", (x) => tf.cos(x)),
  unary("Cosh", (x) => tf.cosh(x)),
  unary("Elu", (x) => tf.elu(x)),
  { kernel: "EluGrad", run: (x, dy) => tf.grad((v: tf.Tensor) => tf.elu(v))(x, dy), inputs: [[f([6]), f([6])]] },
  ...compared("Equal", (x, y) => tf.equal(x, y)),
  unary("Erf", (x) => tf.erf(x)),
  unary("Exp", (x) => tf.exp(x)),
  unary("Expm1", (x) => tf.expm1(x)),
  unary("Expm1", (x) => tf.expm1(x), -1e-4, 1e-4, { ...smooth, what: "near 0", tolerance: 1e-10 }),
  unary("Floor", (x) => tf.floor(x)),
  binary("FloorDiv", (x, y) => tf.floorDiv(x, y), 0.5, 3, {}),
  integers("FloorDiv", (x, y) => tf.floorDiv(x, y)),
  ...compared("Greater", (x, y) => tf.greater(x, y)),
  ...compared("GreaterEqual", (x, y) => tf.greaterEqual(x, y)),
  unary("Identity", (x) => tf.clone(x)),
  unary("IsFinite", (x) => tf.isFinite(tf.log(x)), -2, 2, {}),
  unary("IsInf", (x) => tf.isInf(tf.div(x, tf.relu(x))), -2, 2, {}),
  unary("IsNan", (x) => tf.isNaN(tf.log(x)), -2, 2, {}),
  unary("LeakyRelu", (x) => tf.leakyRelu(x, 0.3)),
  ...compared("Less", (x, y) => tf.less(x, y)),
  ...compared("LessEqual", (x, y) => tf.lessEqual(x, y)),
  unary("Log", (x) => tf.log(x), 0.1, 4),
  unary("Log1p", (x) => tf.log1p(x), -0.9, 4),
  unary("Log1p", (x) => tf.log1p(x), -1e-4, 1e-4, { ...smooth, what: "near 0", tolerance: 1e-10 }),
  logic("LogicalAnd", (x, y) => tf.logicalAnd(x, y)),
  { kernel: "LogicalNot", run: (x) => tf.logicalNot(x), inputs: [[b([7])]] },
  logic("LogicalOr", (x, y) => tf.logicalOr(x, y)),
  binary("Maximum", (x, y) => tf.maximum(x, y), -2, 2, {}),
  { kernel: "Maximum", what: "gradient", run: (x, y) => tf.maximum(x, y), inputs: SAME, ...smooth }, // tfjs has none when it broadcasts
  integers("Maximum", (x, y) => tf.maximum(x, y)),
  binary("Minimum", (x, y) => tf.minimum(x, y), -2, 2, {}),
  { kernel: "Minimum", what: "gradient", run: (x, y) => tf.minimum(x, y), inputs: SAME, ...smooth }, // tfjs has none when it broadcasts
  integers("Minimum", (x, y) => tf.minimum(x, y)),
  binary("Mod", (x, y) => tf.mod(x, y), -3, 3),
  integers("Mod", (x, y) => tf.mod(x, y)),
  binary("Multiply", (x, y) => tf.mul(x, y)),
  integers("Multiply", (x, y) => tf.mul(x, y)),
  unary("Neg", (x) => tf.neg(x)),
  ...compared("NotEqual", (x, y) => tf.notEqual(x, y)),
  binary("Pow", (x, y) => tf.pow(x, y), 0.2, 2),
  {
    kernel: "Prelu",
    run: (x, y) => tf.prelu(x, y),
    inputs: [
      [f([2, 3]), f([3])],
      [f([4, 2, 3]), f([1])],
    ],
    ...smooth,
  },
  binary("RealDiv", (x, y) => tf.div(x, y), 0.3, 3),
  unary("Reciprocal", (x) => tf.reciprocal(x), 0.3, 3),
  unary("Relu", (x) => tf.relu(x)),
  unary("Relu6", (x) => tf.relu6(x), -3, 9),
  unary("Round", (x) => tf.round(x)),
  unary("Rsqrt", (x) => tf.rsqrt(x), 0.2, 3),
  {
    kernel: "Select",
    run: (c, x, y) => tf.where(c, x, y),
    inputs: [
      [b([4]), f([4]), f([4])],
      [b([2, 3]), f([2, 3]), f([3])],
    ],
    ...smooth,
  },
  unary("Selu", (x) => tf.selu(x)),
  unary("Sigmoid", (x) => tf.sigmoid(x)),
  unary("Sign", (x) => tf.sign(x)),
  unary("Sin", (x) => tf.sin(x)),
  unary("Sinh", (x) => tf.sinh(x)),
  unary("Softplus", (x) => tf.softplus(x)),
  unary("Sqrt", (x) => tf.sqrt(x), 0.1, 4),
  unary("Square", (x) => tf.square(x)),
  binary("SquaredDifference", (x, y) => tf.squaredDifference(x, y), -2, 2, {}),
  { kernel: "SquaredDifference", what: "gradient", run: (x, y) => tf.squaredDifference(x, y), inputs: SAME, ...smooth }, // tfjs has none when it broadcasts
  unary("Step", (x) => tf.step(x, 0.25), -2, 2, {}),
  binary("Sub", (x, y) => tf.sub(x, y)),
  integers("Sub", (x, y) => tf.sub(x, y)),
  unary("Tan", (x) => tf.tan(x), -1, 1),
  unary("Tanh", (x) => tf.tanh(x)),
];

const reductions: readonly KernelCase[] = [
  { kernel: "All", run: (x) => tf.all(x, 1), inputs: [[b([5, 2])], [b([2, 2, 3])]] },
  { kernel: "Any", run: (x) => tf.any(x), inputs: [[b([5, 2])], [b([1])]] },
  { kernel: "ArgMax", run: (x) => tf.argMax(x, -1), inputs: [[f([5])], [f([2, 3, 4])]] },
  { kernel: "ArgMax", what: "ties, first axis", run: (x) => tf.argMax(x, 0), inputs: [[i([6, 4], 0, 3)]] },
  { kernel: "ArgMin", run: (x) => tf.argMin(x, 1), inputs: [[f([2, 3, 4])]] },
  {
    kernel: "Cumprod",
    run: (x) => [tf.cumprod(x, 1), tf.cumprod(x, 0, true), tf.cumprod(x, 1, false, true), tf.cumprod(x, 1, true, true)],
    inputs: [[f([3, 7])], [f([3, 5, 2])]],
  },
  { kernel: "Cumsum", run: (x) => tf.cumsum(x, x.rank - 1), inputs: [[f([7])], [f([3, 5])]], ...smooth },
  {
    kernel: "Cumsum",
    what: "exclusive, reverse, other axes",
    run: (x) => [tf.cumsum(x, 0, true), tf.cumsum(x, 1, false, true)],
    inputs: [[f([3, 5])], [i([4, 3])]],
  },
  {
    kernel: "Softmax",
    what: "its logarithm",
    run: (x) => [tf.logSoftmax(x), tf.softmax(x)],
    inputs: [[f([5])], [f([2, 3, 4])]],
    ...smooth,
  },
  ...reduced("Max", (x, axis, keep) => tf.max(x, axis, keep)),
  { kernel: "Max", what: "int32", run: (x) => tf.max(x, 0), inputs: [[i([4, 3])]] },
  ...reduced("Mean", (x, axis, keep) => tf.mean(x, axis, keep)),
  ...reduced("Min", (x, axis, keep) => tf.min(x, axis, keep)),
  ...reduced("Prod", (x, axis, keep) => tf.prod(x, axis, keep), {}),
  {
    kernel: "Prod",
    what: "gradient",
    run: (x) => tf.prod(x, 0),
    inputs: [[f([4])], [f([3, 2])]],
    gradient: "differences",
  },
  { kernel: "Softmax", run: (x) => tf.softmax(x), inputs: [[f([5])], [f([2, 3, 4])]], ...smooth },
  ...reduced("Sum", (x, axis, keep) => tf.sum(x, axis, keep)),
  { kernel: "Sum", what: "int32 and bool", run: (x, y) => [tf.sum(x, 0), tf.sum(y)], inputs: [[i([4, 3]), b([9])]] },
  {
    kernel: "TopK",
    run: (x) => {
      const { values, indices } = tf.topk(x, 2);
      return [values, indices];
    },
    inputs: [[f([5])], [f([2, 3, 4])]],
  },
];

const matmuls: readonly KernelCase[] = [
  ...(
    [
      [false, false],
      [true, false],
      [false, true],
      [true, true],
    ] as const
  ).map(
    ([ta, tb]): KernelCase => ({
      kernel: "BatchMatMul",
      what: `transposes ${ta}, ${tb}`,
      run: (x, y) => tf.matMul(x, y, ta, tb),
      inputs: [[], [4], [2, 3]].map((batch) => [
        f([...batch, ...(ta ? [5, 2] : [2, 5])]),
        f([...batch, ...(tb ? [3, 5] : [5, 3])]),
      ]),
      ...smooth,
    }),
  ),
  {
    kernel: "BatchMatMul",
    what: "shared matrix",
    run: (x, y) => tf.matMul(x, y, false, true),
    inputs: [
      [f([4, 2, 5]), f([3, 5])],
      [f([2, 2, 3, 5]), f([1, 4, 5])],
      [f([2, 5]), f([3, 4, 5])],
    ],
  },
  { kernel: "Einsum", run: (x, y) => tf.einsum("bij, bjk -> bki", x, y), inputs: [[f([2, 3, 4]), f([2, 4, 5])]] },
  {
    kernel: "_FusedMatMul",
    run: (x, y, z) => tf.fused.matMul({ a: x, b: y, bias: z, activation: "relu" }),
    inputs: [[f([2, 5]), f([5, 3]), f([3])]],
    ...smooth,
  },
  {
    kernel: "_FusedMatMul",
    what: "leaky relu",
    run: (x, y) => tf.fused.matMul({ a: x, b: y, transposeB: true, activation: "leakyrelu", leakyreluAlpha: 0.1 }),
    inputs: [[f([2, 5]), f([3, 5])]],
  },
];

const layouts: readonly KernelCase[] = [
  {
    kernel: "BatchToSpaceND",
    run: (x) =>
      tf.batchToSpaceND(
        x,
        [2, 2],
        [
          [0, 1],
          [1, 0],
        ],
      ),
    inputs: [[f([8, 2, 3, 2])]],
  },
  {
    kernel: "Tile",
    what: "by broadcasting",
    run: (x) => tf.broadcastTo(x, [4, 2, 3]),
    inputs: [[f([3])], [f([2, 1])], [f([])]],
    ...smooth,
  },
  {
    kernel: "Concat",
    run: (x, y) => tf.concat([x, y], -1),
    inputs: [
      [f([2]), f([3])],
      [f([2, 1, 3]), f([2, 1, 2])],
    ],
    ...smooth,
  },
  { kernel: "DepthToSpace", run: (x) => tf.depthToSpace(x, 2), inputs: [[f([2, 2, 3, 8])]] },
  { kernel: "Diag", run: (x) => tf.diag(x), inputs: [[f([3])], [f([2, 3])]] },
  { kernel: "ExpandDims", run: (x) => tf.expandDims(x, 1), inputs: [[f([3])], [f([2, 3])]], ...smooth },
  { kernel: "Fill", run: (x) => tf.add(x, tf.fill([2, 3], 1.5)), inputs: [[f([3])]] },
  { kernel: "LinSpace", run: (x) => tf.add(x, tf.linspace(-1, 2, 5)), inputs: [[f([5])]] },
  {
    kernel: "MirrorPad",
    run: (x) =>
      tf.mirrorPad(
        x,
        [
          [1, 2],
          [0, 1],
        ],
        "reflect",
      ),
    inputs: [[f([4, 3])]],
    ...smooth,
  },
  {
    kernel: "MirrorPad",
    what: "symmetric",
    run: (x) =>
      tf.mirrorPad(
        x,
        [
          [1, 2],
          [0, 3],
        ],
        "symmetric",
      ),
    inputs: [[f([4, 3])]],
  },
  {
    kernel: "OneHot",
    run: (x) => [tf.oneHot(x, 4), tf.oneHot(x, 4, 2, -1, "float32")],
    inputs: [[i([6], -1, 5)], [i([2, 3], 0, 4)]],
  },
  { kernel: "OnesLike", run: (x) => tf.onesLike(x), inputs: [[f([2, 3])], [i([2])]] },
  {
    kernel: "Pack",
    run: (x, y) => tf.stack([x, y], 1),
    inputs: [
      [f([3]), f([3])],
      [f([2, 3]), f([2, 3])],
    ],
    ...smooth,
  },
  {
    kernel: "PadV2",
    run: (x) =>
      tf.pad(
        x,
        [
          [1, 2],
          [0, 3],
        ],
        0.5,
      ),
    inputs: [[f([2, 3])]],
    ...smooth,
  },
  { kernel: "PadV2", what: "int32", run: (x) => tf.pad(x, [[1, 2]], 7), inputs: [[i([3])]] },
  {
    kernel: "Range",
    run: (x) => [tf.add(x, tf.range(1, 9, 2)), tf.range(3, -1), tf.range(0, 5, 1, "int32")],
    inputs: [[f([4])]],
  },
  { kernel: "Reshape", run: (x) => tf.reshape(x, [3, -1]), inputs: [[f([2, 3])], [f([3, 2, 2])]], ...smooth },
  { kernel: "Reverse", run: (x) => tf.reverse(x, [0, -1]), inputs: [[f([2, 3])], [f([3, 2, 2])]], ...smooth },
  { kernel: "Slice", run: (x) => tf.slice(x, [1, 0], [2, 2]), inputs: [[f([3, 3])], [f([4, 2])]], ...smooth },
  {
    kernel: "Slice",
    what: "to the end",
    run: (x) => tf.slice(x, [1, 1], [-1, -1]),
    inputs: [[f([3, 3])], [i([4, 2])]],
  },
  {
    kernel: "SpaceToBatchND",
    run: (x) =>
      tf.spaceToBatchND(
        x,
        [2, 2],
        [
          [0, 1],
          [1, 0],
        ],
      ),
    inputs: [[f([2, 3, 3, 2])]],
  },
  { kernel: "SplitV", run: (x) => tf.split(x, [1, 2, 1], -1), inputs: [[f([4])], [f([2, 4])]] },
  {
    kernel: "SplitV",
    what: "gradient",
    run: (x) => {
      const [a, c] = tf.split(x, 2, 1) as [tf.Tensor, tf.Tensor];
      return tf.mul(a, tf.square(c));
    },
    inputs: [[f([2, 4])]],
    ...smooth,
  },
  { kernel: "StridedSlice", run: (x) => tf.stridedSlice(x, [0, 3], [3, 0], [2, -1]), inputs: [[f([3, 4])]] },
  {
    kernel: "StridedSlice",
    what: "shrunk axis",
    run: (x) => tf.stridedSlice(x, [1, 0], [2, 4], [1, 1], 0, 0, 0, 0, 1),
    inputs: [[f([3, 4])]],
  },
  { kernel: "Tile", run: (x) => tf.tile(x, [2, 3]), inputs: [[f([2, 3])], [f([1, 1])]], ...smooth },
  { kernel: "Transpose", run: (x) => tf.transpose(x, [2, 0, 1]), inputs: [[f([2, 3, 4])], [f([1, 2, 2])]], ...smooth },
  { kernel: "Unpack", run: (x) => tf.unstack(x, 1), inputs: [[f([2, 3])], [f([2, 2, 4])]] },
  { kernel: "ZerosLike", run: (x) => tf.zerosLike(x), inputs: [[f([2, 3])], [b([2])]] },
];

const indexing: readonly KernelCase[] = [
  { kernel: "Bincount", run: (x, w) => tf.bincount(x, w, 5), inputs: [[i([9], 0, 5), f([9])]] },
  {
    kernel: "DenseBincount",
    run: (x, w) => tf.denseBincount(x, w, 5),
    inputs: [
      [i([9], 0, 5), f([9])],
      [i([2, 6], 0, 5), f([2, 6])],
    ],
  },
  {
    kernel: "GatherNd",
    run: (x, n) => tf.gatherND(x, n),
    inputs: [
      [f([4, 3]), i([5, 2], 0, 3)],
      [f([4, 3]), i([5, 1], 0, 4)],
    ],
  },
  {
    kernel: "GatherV2",
    run: (x, n) => tf.gather(x, n),
    inputs: [
      [f([4, 3]), i([5], 0, 4)],
      [f([4]), i([2, 3], 0, 4)],
    ],
    ...smooth,
  },
  {
    kernel: "GatherV2",
    what: "last axis",
    run: (x, n) => tf.gather(x, n, -1),
    inputs: [
      [f([4, 3]), i([5], 0, 3)],
      [f([2, 4, 3]), i([2], 0, 3)],
    ],
    ...smooth,
  },
  {
    kernel: "GatherV2",
    what: "batch dimensions",
    run: (x, n) => [tf.gather(x, n, 1, 1), tf.gather(x, n, 2, 1)],
    inputs: [[f([2, 4, 4, 3]), i([2, 5], 0, 4)]],
  },
  {
    kernel: "SearchSorted",
    run: (x, v) => {
      const sorted = tf.cumsum(tf.abs(x), 1) as tf.Tensor2D;
      return [tf.lowerBound(sorted, tf.abs(v)), tf.upperBound(sorted, tf.abs(v))];
    },
    inputs: [[f([2, 6]), f([2, 3], 0, 6)]],
  },
  {
    kernel: "ScatterNd",
    run: (n, x) => tf.scatterND(n, x, [5, 2]),
    inputs: [
      [i([9, 1], 0, 5), f([9, 2])],
      [i([4, 2], 0, 2), f([4])],
    ],
  },
  {
    kernel: "SparseToDense",
    run: (x, d) => tf.sparseToDense(tf.tensor1d([1, 3, 6], "int32"), x, [8], d),
    inputs: [[f([3]), f([])]],
  },
  {
    kernel: "TensorScatterUpdate",
    run: (x, u) => tf.tensorScatterUpdate(x, tf.tensor2d([[4], [1]], [2, 1], "int32"), u),
    inputs: [[f([5, 2]), f([2, 2])]],
  },
  {
    kernel: "UnsortedSegmentSum",
    run: (x, n) => tf.unsortedSegmentSum(x, n, 4),
    inputs: [
      [f([9]), i([9], 0, 4)],
      [f([40, 3]), i([40], 0, 4)],
    ],
    ...smooth,
  },
];

/** Paddings and strides of convolutions and pools: [window, stride, pad]. */
const WINDOWS: readonly (readonly [number, number, "same" | "valid" | number])[] = [
  [3, 1, "same"],
  [3, 2, "same"],
  [2, 2, "valid"],
  [3, 2, 1],
];
const image = [f([2, 6, 5, 3]), f([1, 7, 7, 3])];

const convolutions: readonly KernelCase[] = WINDOWS.flatMap(([window, stride, pad]): KernelCase[] => {
  const what = `window ${window}, stride ${stride}, pad ${pad}`;
  const filter = f([window, window, 3, 4]);
  const depth = f([window, window, 3, 2]);
  const inputs = image.map((x) => [x, filter]);
  const depthInputs = image.map((x) => [x, depth]);
  const conv = (x: tf.Tensor4D, w: tf.Tensor4D): tf.Tensor => tf.conv2d(x, w, stride, pad);
  const depthwise = (x: tf.Tensor4D, w: tf.Tensor4D): tf.Tensor => tf.depthwiseConv2d(x, w, stride, pad);
  const gradient =
    (op: Run, index: 0 | 1): Run =>
    (x, w) =>
      tf.grads((p: tf.Tensor, q: tf.Tensor) => tf.square(op(p, q) as tf.Tensor))([x, w])[index]!;
  return [
    { kernel: "Conv2D", what, run: conv, inputs, tolerance: 1e-4 },
    { kernel: "Conv2DBackpropInput", what, run: gradient(conv, 0), inputs, tolerance: 1e-4 },
    { kernel: "Conv2DBackpropFilter", what, run: gradient(conv, 1), inputs, tolerance: 1e-4 },
    { kernel: "DepthwiseConv2dNative", what, run: depthwise, inputs: depthInputs, tolerance: 1e-4 },
    {
      kernel: "DepthwiseConv2dNativeBackpropInput",
      what,
      run: gradient(depthwise, 0),
      inputs: depthInputs,
      tolerance: 1e-4,
    },
    {
      kernel: "DepthwiseConv2dNativeBackpropFilter",
      what,
      run: gradient(depthwise, 1),
      inputs: depthInputs,
      tolerance: 1e-4,
    },
    {
      kernel: "FusedConv2D",
      what,
      run: (x, w, z) => tf.fused.conv2d({ x, filter: w, strides: stride, pad, bias: z, activation: "relu" }),
      inputs: inputs.map((pair) => [...pair, f([4])]),
      tolerance: 1e-4,
    },
    {
      kernel: "FusedDepthwiseConv2D",
      what,
      run: (x, w, z) =>
        tf.fused.depthwiseConv2d({ x, filter: w, strides: stride, pad, bias: z, activation: "sigmoid" }),
      inputs: depthInputs.map((pair) => [...pair, f([6])]),
      tolerance: 1e-4,
    },
  ];
});

const volume = f([2, 4, 5, 3, 2]);
const volumes: readonly KernelCase[] = (
  [
    [2, 1, "same"],
    [2, 2, "valid"],
  ] as const
).flatMap(([window, stride, pad]): KernelCase[] => {
  const what = `window ${window}, stride ${stride}, pad ${pad}`;
  const filter = f([window, window, window, 2, 3]);
  const conv = (x: tf.Tensor5D, w: tf.Tensor5D): tf.Tensor => tf.conv3d(x, w, stride, pad);
  const gradient =
    (index: 0 | 1): Run =>
    (x, w) =>
      tf.grads((p: tf.Tensor, q: tf.Tensor) => conv(p as tf.Tensor5D, q as tf.Tensor5D))([x, w])[index]!;
  const averageGradient: Run = (x) =>
    tf.grad((v: tf.Tensor) => tf.square(tf.avgPool3d(v as tf.Tensor5D, window, stride, pad)))(x);
  const inputs = [[volume, filter]];
  return [
    { kernel: "Conv3D", what, run: conv, inputs },
    { kernel: "Conv3DBackpropInputV2", what, run: gradient(0), inputs },
    { kernel: "Conv3DBackpropFilterV2", what, run: gradient(1), inputs },
    { kernel: "MaxPool3D", what, run: (x) => tf.maxPool3d(x, window, stride, pad), inputs: [[volume]] },
    {
      kernel: "MaxPool3DGrad",
      what,
      run: (x) => tf.grad((v: tf.Tensor) => tf.square(tf.maxPool3d(v as tf.Tensor5D, window, stride, pad)))(x),
      inputs: [[volume]],
    },
    // tfjs's cpu backend divides the gradient by the whole window where the forward pass leaves padding out.
    {
      kernel: "AvgPool3D",
      what,
      run: (x) => tf.avgPool3d(x, window, stride, pad),
      inputs: [[volume]],
      gradient: "differences",
    },
    ...(pad === "valid" ? [{ kernel: "AvgPool3DGrad", what, run: averageGradient, inputs: [[volume]] }] : []),
  ];
});

const pools: readonly KernelCase[] = WINDOWS.flatMap(([window, stride, pad]): KernelCase[] => {
  const what = `window ${window}, stride ${stride}, pad ${pad}`;
  const averageGradient: Run = (x) =>
    tf.grad((v: tf.Tensor) => tf.square(tf.avgPool(v as tf.Tensor4D, window, stride, pad)))(x);
  const inputs = image.map((x) => [x]);
  return [
    { kernel: "MaxPool", what, run: (x) => tf.maxPool(x, window, stride, pad), inputs },
    {
      kernel: "MaxPoolGrad",
      what,
      run: (x) => tf.grad((v: tf.Tensor) => tf.square(tf.maxPool(v as tf.Tensor4D, window, stride, pad)))(x),
      inputs,
    },
    { kernel: "AvgPool", what, run: (x) => tf.avgPool(x, window, stride, pad), inputs, gradient: "differences" },
    ...(pad === "valid" ? [{ kernel: "AvgPoolGrad", what, run: averageGradient, inputs }] : []),
  ];
});

const SIZES = [
  [12, 10],
  [3, 9],
  [6, 5],
] as const;
const resizes: readonly KernelCase[] = SIZES.flatMap(([h, w]) =>
  (
    [
      [false, false],
      [true, false],
      [false, true],
    ] as const
  ).flatMap(([align, half]): KernelCase[] => {
    const what = `to ${h} × ${w}${align ? ", aligned corners" : half ? ", half pixels" : ""}`;
    const linear = (x: tf.Tensor4D): tf.Tensor => tf.image.resizeBilinear(x, [h, w], align, half);
    const nearest = (x: tf.Tensor4D): tf.Tensor => tf.image.resizeNearestNeighbor(x, [h, w], align, half);
    const inputs = [[f([2, 6, 5, 3])]];
    const rows: KernelCase[] = [
      { kernel: "ResizeBilinear", what, run: linear, inputs },
      { kernel: "ResizeNearestNeighbor", what, run: nearest, inputs },
    ];
    // tfjs differentiates half-pixel resizing as if it were not.
    if (half) return rows;
    return [
      ...rows,
      // tfjs's cpu backend confuses height and width of the gradient.
      {
        kernel: "ResizeBilinearGrad",
        what,
        run: (x) => tf.grad((v: tf.Tensor) => tf.square(linear(v as tf.Tensor4D)))(x),
        inputs: [[f([2, 5, 5, 3])]],
      },
      { kernel: "ResizeBilinear", what: `${what}, gradient`, run: linear, inputs, gradient: "differences" },
      // tfjs's cpu backend is wrong for more than one image.
      {
        kernel: "ResizeNearestNeighborGrad",
        what,
        run: (x) => tf.grad((v: tf.Tensor) => tf.square(nearest(v as tf.Tensor4D)))(x),
        inputs: [[f([1, 6, 5, 3])]],
      },
      {
        kernel: "ResizeNearestNeighbor",
        what: `${what}, gradient of two images`,
        run: nearest,
        inputs,
        gradient: "differences",
      },
    ];
  }),
);

const norms: readonly KernelCase[] = [
  {
    kernel: "FusedBatchNorm",
    run: (x, mean, variance, offset, scale) => tf.batchNorm(x, mean, variance, offset, scale, 1e-3),
    inputs: [[f([2, 3, 2, 4]), f([4]), f([4], 0.5, 2), f([4]), f([4])]],
    ...smooth,
  },
];

export const KERNEL_CASES: readonly KernelCase[] = [
  ...elementwise,
  ...reductions,
  ...matmuls,
  ...layouts,
  ...indexing,
  ...convolutions,
  ...volumes,
  ...pools,
  ...resizes,
  ...norms,
];
