import { conv, conv1, conv3, type Layer, type ParameterShapes, shapesOf } from "../layers";
import { type Magvit2Config, resolveMagvit2Config } from "./config";

/** Images to `z_channels`. Source: `Encoder` of `improved_model.py`. */
export function encoderLayers(config: Magvit2Config): Layer[] {
  const widths = widthsOf(config);
  const last = widths.length - 1;
  const levels = widths.flatMap((to, level): Layer[] => {
    const name = `encoder.down.${level}`;
    const blocks = residuals(`${name}.block`, level === 0 ? config.ch : widths[level - 1]!, to, config.num_res_blocks);
    if (level === last) return blocks;
    return [...blocks, { kind: "downsample", name: `${name}.downsample`, width: to, pad: "start" }];
  });
  const width = widths[last]!;
  return [
    conv("encoder.conv_in", 3, config.in_channels, config.ch, false),
    ...levels,
    ...residuals("encoder.mid_block", width, width, config.num_res_blocks),
    { kind: "normSwish", name: "encoder.norm_out", width },
    conv1("encoder.conv_out", width, config.z_channels),
  ];
}

/** `z_channels` to images. Source: `Decoder` of `improved_model.py`. */
export function decoderLayers(config: Magvit2Config): Layer[] {
  const widths = widthsOf(config);
  const last = widths.length - 1;
  const coarsest = widths[last]!;
  const levels = widths.map((to, level): Layer[] => {
    const name = `decoder.up.${level}`;
    const from = level === last ? coarsest : widths[level + 1]!;
    const layers: Layer[] = [
      { kind: "adaptiveNorm", name: `decoder.adaptive.${level}`, width: from, style: config.z_channels },
      ...residuals(`${name}.block`, from, to, config.num_res_blocks),
    ];
    return level === 0 ? layers : [...layers, { kind: "depthToSpace", name: `${name}.upsample.conv1`, width: to }];
  });
  return [
    conv3("decoder.conv_in", config.z_channels, coarsest),
    ...residuals("decoder.mid_block", coarsest, coarsest, config.num_res_blocks),
    ...levels.reverse().flat(),
    { kind: "normSwish", name: "decoder.norm_out", width: widths[0]! },
    conv3("decoder.conv_out", widths[0]!, config.out_ch),
  ];
}

/**
 * Shape of every parameter by its name in the original checkpoint; convolutions are OIHW. The quantizer has none.
 * @throws TensorARError for a bad configuration
 */
export function magvit2Shapes(config: Magvit2Config): ParameterShapes {
  const full = resolveMagvit2Config(config);
  return shapesOf([...encoderLayers(full), ...decoderLayers(full)]);
}

const widthsOf = (config: Magvit2Config): number[] => config.ch_mult.map((multiplier) => multiplier * config.ch);

const residuals = (name: string, from: number, to: number, count: number): Layer[] =>
  Array.from({ length: count }, (_, i) => ({
    kind: "residual",
    name: `${name}.${i}`,
    from: i === 0 ? from : to,
    to,
    bias: false,
    shortcut: "input",
  }));
