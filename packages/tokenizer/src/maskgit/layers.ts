import { conv, conv1, conv3, type Layer, type ParameterShapes, shapesOf } from "../layers";
import { checkMaskgitConfig, type MaskgitConfig } from "./config";

/** Images to `z_channels`. Source: `Encoder` of `maskgit_vqgan.py`. */
export function encoderLayers(config: MaskgitConfig): Layer[] {
  const widths = widthsOf(config);
  const last = widths.length - 1;
  const first: Layer = conv("encoder.conv_in", 3, config.num_channels, config.hidden_channels, false);
  const levels = widths.flatMap((to, level): Layer[] => {
    const from = level === 0 ? config.hidden_channels : widths[level - 1]!;
    const blocks = residuals(`encoder.down.${level}.block`, from, to, config.num_res_blocks);
    return level === last ? blocks : [...blocks, { kind: "averagePool" }];
  });
  const width = widths[last]!;
  return [
    first,
    ...levels,
    ...residuals("encoder.mid", width, width, config.num_res_blocks),
    { kind: "normSwish", name: "encoder.norm_out", width },
    conv1("encoder.conv_out", width, config.z_channels),
  ];
}

/** `z_channels` to images. Source: `Decoder` of `maskgit_vqgan.py`. */
export function decoderLayers(config: MaskgitConfig): Layer[] {
  const widths = widthsOf(config);
  const last = widths.length - 1;
  const coarsest = widths[last]!;
  const levels = widths.map((to, level): Layer[] => {
    const name = `decoder.up.${level}`;
    const blocks = residuals(
      `${name}.block`,
      level === last ? coarsest : widths[level + 1]!,
      to,
      config.num_res_blocks,
    );
    return level === 0 ? blocks : [...blocks, { kind: "upsample", name: `${name}.upsample_conv`, width: to }];
  });
  return [
    conv3("decoder.conv_in", config.z_channels, coarsest),
    ...residuals("decoder.mid", coarsest, coarsest, config.num_res_blocks),
    ...levels.reverse().flat(),
    { kind: "normSwish", name: "decoder.norm_out", width: widths[0]! },
    conv3("decoder.conv_out", widths[0]!, config.num_channels),
  ];
}

/**
 * Shape of every parameter by its name in the original checkpoint; convolutions are OIHW.
 * @throws TensorARError for a bad configuration
 */
export function maskgitShapes(config: MaskgitConfig): ParameterShapes {
  checkMaskgitConfig(config);
  return {
    "quantize.embedding.weight": [config.num_embeddings, config.embedding_dim],
    ...shapesOf([...encoderLayers(config), ...decoderLayers(config)]),
  };
}

const widthsOf = (config: MaskgitConfig): number[] =>
  config.channel_mult.map((multiplier) => multiplier * config.hidden_channels);

/** In this original the shortcut of a block that changes the width is computed from the block's own output. */
const residuals = (name: string, from: number, to: number, count: number): Layer[] =>
  Array.from({ length: count }, (_, i) => ({
    kind: "residual",
    name: `${name}.${i}`,
    from: i === 0 ? from : to,
    to,
    bias: false,
    shortcut: "output",
  }));
