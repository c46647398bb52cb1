import { type FullVqConfig, resolveConfig, type VqConfig } from "./config";
import { conv1, conv3, type Layer, type ParameterShapes, shapesOf } from "./layers";

/** Images to `z_channels`. Source: `Encoder` of LlamaGen's `vq_model.py`. */
export function encoderLayers(config: FullVqConfig): Layer[] {
  const widths = config.encoder_ch_mult.map((multiplier) => multiplier * config.ch);
  const last = widths.length - 1;
  const layers: Layer[] = [conv3("encoder.conv_in", config.in_channels, config.ch)];
  let width = config.ch;
  widths.forEach((to, level) => {
    const block = `encoder.conv_blocks.${level}`;
    layers.push(...levelBlocks(block, width, to, config.num_res_blocks, level === last));
    if (level !== last) layers.push({ kind: "downsample", name: `${block}.downsample.conv`, width: to, pad: "end" });
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
export function vqShapes(config: VqConfig): ParameterShapes {
  const full = resolveConfig(config);
  const layers = [...encoderLayers(full), ...decoderLayers(full), quantLayer(full), postQuantLayer(full)];
  return {
    "quantize.embedding.weight": [full.codebook_size, full.codebook_embed_dim],
    ...shapesOf(layers),
  };
}

const residual = (name: string, from: number, to: number): Layer => ({
  kind: "residual",
  name,
  from,
  to,
  bias: true,
  shortcut: "input",
});

function levelBlocks(level: string, from: number, to: number, count: number, attention: boolean): Layer[] {
  return Array.from({ length: count }, (_, i): Layer[] => {
    const block = residual(`${level}.res.${i}`, i === 0 ? from : to, to);
    return attention ? [block, { kind: "attention", name: `${level}.attn.${i}`, width: to }] : [block];
  }).flat();
}

const middle = (network: string, width: number): Layer[] => [
  residual(`${network}.mid.0`, width, width),
  { kind: "attention", name: `${network}.mid.1`, width },
  residual(`${network}.mid.2`, width, width),
];

const end = (network: string, width: number, to: number): Layer[] => [
  { kind: "normSwish", name: `${network}.norm_out`, width },
  conv3(`${network}.conv_out`, width, to),
];
