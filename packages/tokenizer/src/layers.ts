/** Shapes of parameters by their names in the original checkpoint. */
export type ParameterShapes = Readonly<Record<string, readonly number[]>>;

/**
 * One step of an encoder or a decoder. The networks are lists of these; running them and naming their parameters
 * are two readings of the same list. `name` is the prefix of the parameters in the original checkpoint.
 */
export type Layer =
  | Convolution
  | ResidualBlock
  | { readonly kind: "attention"; readonly name: string; readonly width: number }
  /** 3×3 convolution of stride 2, for which a row and a column are added `pad`: at the end, or at the start. */
  | { readonly kind: "downsample"; readonly name: string; readonly width: number; readonly pad: "start" | "end" }
  /** Mean of 2×2 pixels. */
  | { readonly kind: "averagePool" }
  /** Nearest neighbour by 2, then a 3×3 convolution. */
  | { readonly kind: "upsample"; readonly name: string; readonly width: number }
  /** 3×3 convolution to four times the channels, which become 2×2 pixels. */
  | { readonly kind: "depthToSpace"; readonly name: string; readonly width: number }
  /** GroupNorm whose scale and shift are computed from the network's own input, which has `style` channels. */
  | { readonly kind: "adaptiveNorm"; readonly name: string; readonly width: number; readonly style: number }
  | { readonly kind: "normSwish"; readonly name: string; readonly width: number };

/** 3×3 convolution, or 1×1 with `size` 1. */
export interface Convolution {
  readonly kind: "conv";
  readonly name: string;
  readonly size: 1 | 3;
  readonly from: number;
  readonly to: number;
  readonly bias: boolean;
}

/** Two times norm, swish and 3×3 convolution, plus the shortcut. */
export interface ResidualBlock {
  readonly kind: "residual";
  readonly name: string;
  readonly from: number;
  readonly to: number;
  /** Whether its convolutions have biases. */
  readonly bias: boolean;
  /** What the 1×1 convolution of the shortcut reads where the width changes: the block's input, or its own output. */
  readonly shortcut: "input" | "output";
}

/** 1×1 convolution with bias. */
export const conv1 = (name: string, from: number, to: number): Layer => conv(name, 1, from, to, true);

/** 3×3 convolution with bias. */
export const conv3 = (name: string, from: number, to: number): Layer => conv(name, 3, from, to, true);

export const conv = (name: string, size: 1 | 3, from: number, to: number, bias: boolean): Layer => ({
  kind: "conv",
  name,
  size,
  from,
  to,
  bias,
});

/** Shape of every parameter of the layers; convolutions are OIHW, linear maps `[out, in]`. */
export const shapesOf = (layers: readonly Layer[]): ParameterShapes => Object.fromEntries(layers.flatMap(layerShapes));

type Shapes = [name: string, shape: readonly number[]][];

const convShapes = (name: string, size: number, from: number, to: number, bias = true): Shapes => [
  [`${name}.weight`, [to, from, size, size]],
  ...(bias ? ([[`${name}.bias`, [to]]] satisfies Shapes) : []),
];

const normShapes = (name: string, width: number): Shapes => [
  [`${name}.weight`, [width]],
  [`${name}.bias`, [width]],
];

const linearShapes = (name: string, from: number, to: number): Shapes => [
  [`${name}.weight`, [to, from]],
  [`${name}.bias`, [to]],
];

function layerShapes(layer: Layer): Shapes {
  switch (layer.kind) {
    case "averagePool":
      return [];
    case "conv":
      return convShapes(layer.name, layer.size, layer.from, layer.to, layer.bias);
    case "downsample":
    case "upsample":
      return convShapes(layer.name, 3, layer.width, layer.width);
    case "depthToSpace":
      return convShapes(layer.name, 3, layer.width, 4 * layer.width);
    case "normSwish":
      return normShapes(layer.name, layer.width);
    case "adaptiveNorm":
      return ["gamma", "beta"].flatMap((part) => linearShapes(`${layer.name}.${part}`, layer.style, layer.width));
    case "attention":
      return [
        ...normShapes(`${layer.name}.norm`, layer.width),
        ...["q", "k", "v", "proj_out"].flatMap((part) =>
          convShapes(`${layer.name}.${part}`, 1, layer.width, layer.width),
        ),
      ];
    case "residual":
      return residualShapes(layer);
  }
}

function residualShapes({ name, from, to, bias, shortcut }: ResidualBlock): Shapes {
  return [
    ...normShapes(`${name}.norm1`, from),
    ...convShapes(`${name}.conv1`, 3, from, to, bias),
    ...normShapes(`${name}.norm2`, to),
    ...convShapes(`${name}.conv2`, 3, to, to, bias),
    ...(from === to ? [] : convShapes(`${name}.nin_shortcut`, 1, shortcut === "input" ? from : to, to, bias)),
  ];
}
