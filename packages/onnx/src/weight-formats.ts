import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { quote, TensorARError } from "@tensorar/core";
import { fromFloat16, toFloat16 } from "./float16";
import { type GraphProto, type ModelProto, ModelProtoSchema, type NodeProto } from "./generated/onnx_pb";
import { ONNX_TYPES } from "./graph";
import { ACCURACY, BLOCK_SIZES, quantizeBlocks } from "./passes/quantize";

/** How a file stores a weight in fewer bits than float32: one factor for each block of whole numbers, or none for float16. */
export type WeightFormat = { readonly bits: 16 } | { readonly bits: 4 | 8; readonly blockSize: number };

/**
 * The weights that the bytes of an `.onnx` file store in fewer bits than float32, by the names that `trace` was given.
 * Weights that lie in a file beside it are named by this one too.
 * @throws TensorARError when the bytes are no ONNX model, or hold a format that ONNX Runtime does not have
 */
export function weightFormats(model: Uint8Array): Map<string, WeightFormat> {
  const formats = new Map<string, WeightFormat>();
  visitGraphs(readModel(model).graph, (graph) => {
    for (const { name, dataType } of graph.initializer)
      if (dataType === ONNX_TYPES.float16) formats.set(name, { bits: 16 });
    for (const node of graph.node.filter(({ opType }) => opType === "MatMulNBits")) {
      const [, codes = ""] = node.input;
      const [bits, blockSize] = [integer(node, "bits"), integer(node, "block_size")];
      if (!codes.endsWith(CODES) || (bits !== 4 && bits !== 8) || !BLOCK_SIZES.includes(blockSize))
        throw new TensorARError(
          `node "${node.name}" takes ${quote(codes)} in ${bits} bits and blocks of ${blockSize}; weights end in "${CODES}" and ` +
            `have 4 or 8 bits and blocks of ${BLOCK_SIZES.join(", ")}; export it again`,
        );
      formats.set(codes.slice(0, -CODES.length), { bits, blockSize });
    }
  });
  return formats;
}

/**
 * The float32 values that a weight has once it is stored in a format: what the file holds, if it holds this weight.
 * @param data [N, K] row-major in 4 or 8 bits, of any shape in 16
 * @throws TensorARError for numbers that the format can't hold
 */
export function roundWeight(
  name: string,
  data: Float32Array,
  shape: readonly number[],
  format: WeightFormat,
): Float32Array {
  if (format.bits === 16) return fromFloat16(toFloat16(data));
  const { bits, blockSize } = format;
  const K = shape.at(-1)!;
  const rounded = new Float32Array(data.length);
  quantizeBlocks(name, data, K, bits, blockSize, (_block, scale, start, codes) => {
    for (const [i, code] of codes.entries()) rounded[start + i] = (code - 2 ** (bits - 1)) * scale;
  });
  return rounded;
}

/**
 * The same model, whose products with weights of 4 and 8 bits leave their other operand in float32 (see
 * `Quantization.activations`): what it computes differs from float32 arithmetic on the rounded weights by the order of sums alone.
 * @throws TensorARError when the bytes are no ONNX model
 */
export function withFloatActivations(model: Uint8Array): Uint8Array {
  const proto = readModel(model);
  visitGraphs(proto.graph, ({ node }) => {
    for (const { attribute } of node.filter(({ opType }) => opType === "MatMulNBits"))
      for (const each of attribute) if (each.name === "accuracy_level") each.i = BigInt(ACCURACY.float32);
  });
  return toBinary(ModelProtoSchema, proto);
}

/** What `quantizeWeights` puts behind the name of a weight. */
const CODES = ".codes";

function readModel(bytes: Uint8Array): ModelProto {
  try {
    return fromBinary(ModelProtoSchema, bytes);
  } catch (cause) {
    throw new TensorARError(`these bytes are no ONNX model: ${(cause as Error).message}`, { cause });
  }
}

function visitGraphs(graph: GraphProto | undefined, visit: (graph: GraphProto) => void): void {
  if (!graph) return;
  visit(graph);
  for (const { attribute } of graph.node) for (const { g } of attribute) visitGraphs(g, visit);
}

function integer({ name, attribute }: NodeProto, key: string): number {
  const found = attribute.find((each) => each.name === key);
  if (found) return Number(found.i);
  throw new TensorARError(`node "${name}" of the model has no "${key}"; export it again`);
}
