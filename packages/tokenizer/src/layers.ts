import { type FullVqConfig, resolveConfig, type VqConfig } from "./config";

/**
 * One step of the encoder or the decoder. The networks are lists of these; running them and naming their parameters
 * are two readings of the same list. `name` is the prefix of the parameters in the original checkpoint.
 */
export type Layer =
  /** 3×3 convolution, or 1×1 with `size` 1. */
  | { readonly kind: "conv"; readonly name: string; readonly size: 1 | 3; readonly from: number; readonly to: number }
  | { readonly kind: "residual"; readonly name: string; readonly from: number; readonly to: number }
  | { readonly kind: "attention"; readonly name: string; readonly width: number }
  | { readonly kind: "downsample"; readonly name: string; readonly width: number }
  | { readonly kind: "upsample"; readonly name: string; readonly width: number }
  | { readonly kind: "normSwish"; readonly name: string; readonly width: number };

/** Images to `z_channels`. Source: `Encoder` of LlamaGen's `vq_model.py`. */
export function encoderLayers(config: FullVqConfig): Layer[] {
  const widths = config.encoder_ch_mult.map((multiplier) => multiplier * config.ch);
  const last = widths.length - 1;
  const layers: Layer[] = [conv3("encoder.conv_in", config.in_channels, config.ch)];
  let width = config.ch;
  widths.forEach((to, level) => {
    const block = `encoder.conv_blocks.${level}`;
    layers.push(...levelBlocks(block, width, to, config.num_res_blocks, level === last));
    if (level !== last) layers.push({ kind: "downsample", name: `${block}.downsample.conv`, width: to });
    width = to;
  });
  return [...layers, ...middle("encoder", width), ...end("encoder", width, config.z_channels)];
}

/** `z_channels` to images. Source: `Decoder` of LlamaGen's `vq_model.py`. */
export function decoderLayers(config: FullVqConfig): Layer[] {
  const widths = config.decoder_ch_mult.map((multiplier) => multiplier * config.ch).reverse(); // coarsest first
  const last = widths.length - 1;
  let width = widths[0]!;
  const layers: Layer[] = [conv3("decoder.conv_in", config.z_channels, width), ...middle("decoder", width)];
  widths.forEach((to, index) => {
    const block = `decoder.conv_blocks.${index}`;
    layers.push(...levelBlocks(block, width, to, config.num_res_blocks + 1, index === 0));
    if (index !== last) layers.push({ kind: "upsample", name: `${block}.upsample.conv`, width: to });
    width = to;
  });
  return [...layers, ...end("decoder", width, config.in_channels)];
}

/** Latents to what the quantizer compares with its codes. */
export const quantLayer = (config: FullVqConfig): Layer =>
  conv1("quant_conv", config.z_channels, config.codebook_embed_dim);

/** Codes to what the decoder reads. */
export const postQuantLayer = (config: FullVqConfig): Layer =>
  conv1("post_quant_conv", config.codebook_embed_dim, config.z_channels);

/** Shape of every trained parameter by its name in the original checkpoint; convolutions are OIHW. */
export function vqShapes(config: VqConfig): Record<string, readonly number[]> {
  const full = resolveConfig(config);
  const layers = [...encoderLayers(full), ...decoderLayers(full), quantLayer(full), postQuantLayer(full)];
  return {
    "quantize.embedding.weight": [full.codebook_size, full.codebook_embed_dim],
    ...Object.fromEntries(layers.flatMap(layerShapes)),
  };
}

const conv1 = (name: string, from: number, to: number): Layer => ({ kind: "conv", name, size: 1, from, to });
const conv3 = (name: string, from: number, to: number): Layer => ({ kind: "conv", name, size: 3, from, to });

function levelBlocks(block: string, from: number, to: number, count: number, attention: boolean): Layer[] {
  return Array.from({ length: count }, (_, i): Layer[] => {
    const residual: Layer = { kind: "residual", name: `${block}.res.${i}`, from: i === 0 ? from : to, to };
    return attention ? [residual, { kind: "attention", name: `${block}.attn.${i}`, width: to }] : [residual];
  }).flat();
}

const middle = (network: string, width: number): Layer[] => [
  { kind: "residual", name: `${network}.mid.0`, from: width, to: width },
  { kind: "attention", name: `${network}.mid.1`, width },
  { kind: "residual", name: `${network}.mid.2`, from: width, to: width },
];

const end = (network: string, width: number, to: number): Layer[] => [
  { kind: "normSwish", name: `${network}.norm_out`, width },
  conv3(`${network}.conv_out`, width, to),
];

type Shapes = [name: string, shape: readonly number[]][];

const convShapes = (name: string, size: number, from: number, to: number): Shapes => [
  [`${name}.weight`, [to, from, size, size]],
  [`${name}.bias`, [to]],
];

const normShapes = (name: string, width: number): Shapes => [
  [`${name}.weight`, [width]],
  [`${name}.bias`, [width]],
];

function layerShapes(layer: Layer): Shapes {
  const { name } = layer;
  switch (layer.kind) {
    case "conv":
      return convShapes(name, layer.size, layer.from, layer.to);
    case "downsample":
    case "upsample":
      return convShapes(name, 3, layer.width, layer.width);
    case "normSwish":
      return normShapes(name, layer.width);
    case "attention":
      return [
        ...normShapes(`${name}.norm`, layer.width),
        ...["q", "k", "v", "proj_out"].flatMap((part) => convShapes(`${name}.${part}`, 1, layer.width, layer.width)),
      ];
    case "residual":
      return [
        ...normShapes(`${name}.norm1`, layer.from),
        ...convShapes(`${name}.conv1`, 3, layer.from, layer.to),
        ...normShapes(`${name}.norm2`, layer.to),
        ...convShapes(`${name}.conv2`, 3, layer.to, layer.to),
        ...(layer.from === layer.to ? [] : convShapes(`${name}.nin_shortcut`, 1, layer.from, layer.to)),
      ];
  }
}
