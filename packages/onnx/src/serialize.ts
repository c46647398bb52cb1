import { create, toBinary } from "@bufbuild/protobuf";
import { TensorARError } from "./errors";
import {
  type AttributeProto,
  AttributeProto_AttributeType,
  AttributeProtoSchema,
  type ModelProto,
  ModelProtoSchema,
  type NodeProto,
  NodeProtoSchema,
  type TensorProto,
  TensorProtoSchema,
  type ValueInfoProto,
  ValueInfoProtoSchema,
} from "./generated/onnx_pb";
import { type Attributes, type ElementType, type Literal, ONNX_TYPES, type Value } from "./graph";
import type { OnnxModel, Port } from "./model";
import { contentKey } from "./passes/cse";

/** ONNX operator set 21 and IR 10: ONNX 1.16, read by ONNX Runtime from 1.18 on. */
export const OPSET = 21;
const IR_VERSION = 10;

/** Protobuf files end at 2 GiB. */
export const PROTOBUF_LIMIT = 2 ** 31 - 1;

/** Fills of more elements than this are made at load time instead of stored. */
const STORED_FILL = 64;

/** The bytes of an `.onnx` file. @throws TensorARError past 2 GiB: `saveModel` puts the weights beside the file then. */
export function serializeModel(model: OnnxModel): Uint8Array {
  const size = weightBytes(model);
  if (size > PROTOBUF_LIMIT) {
    throw new TensorARError(
      `model "${model.name}" has ${size} bytes of weights, and protobuf ends at 2 GiB; use saveModel(), which stores them beside it`,
    );
  }
  return toBinary(ModelProtoSchema, toProto(model));
}

export function weightBytes({ graph }: OnnxModel): number {
  const weights = new Set(graph.nodes.flatMap((node) => node.inputs).concat(graph.outputs.map(({ value }) => value)));
  let bytes = 0;
  for (const value of weights) if (value?.source.kind === "weight") bytes += value.source.data.byteLength;
  return bytes;
}

export function toProto(model: OnnxModel): ModelProto {
  const writer = new GraphWriter(model);
  return create(ModelProtoSchema, {
    irVersion: BigInt(IR_VERSION),
    producerName: "@tensorar/onnx",
    opsetImport: [{ domain: "", version: BigInt(OPSET) }],
    graph: { name: model.name, ...writer.write() },
  });
}

class GraphWriter {
  readonly #names = new Map<Value, string>();
  readonly #taken = new Set<string>();
  readonly #initializers: TensorProto[] = [];
  readonly #constants = new Map<string, string>();
  readonly #nodes: NodeProto[] = [];

  constructor(private readonly model: OnnxModel) {}

  write() {
    const { graph, inputs, outputs } = this.model;
    for (const [i, value] of graph.inputs.entries()) this.#names.set(value, this.#claim(inputs[i]!.name));
    for (const { name } of outputs) this.#claim(name);
    for (const [i, { value }] of graph.outputs.entries()) {
      if (value.source.kind === "node" && !this.#names.has(value)) this.#names.set(value, outputs[i]!.name);
    }
    for (const { op, inputs: operands, attributes, outputs: results } of graph.nodes) {
      this.#push(
        op,
        operands.map((value) => (value ? this.#name(value) : "")),
        results.map((value) => this.#name(value)),
        attributes,
      );
    }
    for (const [i, { value }] of graph.outputs.entries()) {
      const name = this.#name(value);
      if (name !== outputs[i]!.name) this.#push("Identity", [name], [outputs[i]!.name], {});
    }
    return {
      node: this.#nodes,
      initializer: this.#initializers,
      input: inputs.map(valueInfo),
      output: outputs.map(valueInfo),
    };
  }

  #claim(name: string): string {
    if (this.#taken.has(name)) {
      throw new TensorARError(
        `two tensors of model "${this.model.name}" are named "${name}"; give inputs, outputs and weights different keys`,
      );
    }
    this.#taken.add(name);
    return name;
  }

  #fresh(base: string): string {
    let name = `${base}_${this.#taken.size}`;
    while (this.#taken.has(name)) name += "_";
    return this.#claim(name);
  }

  #name(value: Value): string {
    const known = this.#names.get(value);
    if (known) return known;
    const { source } = value;
    const name =
      source.kind === "constant"
        ? this.#constant(value, source.literal)
        : source.kind === "weight"
          ? this.#claim(source.name)
          : this.#fresh(source.kind === "node" ? source.node.op : source.name);
    if (source.kind === "weight")
      this.#initializers.push(tensor(name, value.dtype, value.shape as number[], source.data));
    this.#names.set(value, name);
    return name;
  }

  #push(opType: string, input: string[], output: string[], attributes: Attributes): NodeProto {
    const attribute = Object.entries(attributes).map(([name, value]) => attributeProto(name, value));
    const node = create(NodeProtoSchema, { opType, name: `${opType}_${this.#nodes.length}`, input, output, attribute });
    this.#nodes.push(node);
    return node;
  }

  /** Equal constants are stored once; large fills are nodes. */
  #constant(value: Value, literal: Literal): string {
    const shape = value.shape as number[];
    const size = shape.reduce((a, b) => a * b, 1);
    const key = contentKey(value, literal);
    const known = key && this.#constants.get(key);
    if (known) return known;
    const name = this.#fresh(literal.kind);
    if (key) this.#constants.set(key, name);
    if (literal.kind === "fill" && size > STORED_FILL) {
      const target = this.#name({
        dtype: "int64",
        shape: [shape.length],
        source: { kind: "constant", literal: { kind: "dims", entries: shape } },
      });
      const node = this.#push("ConstantOfShape", [target], [name], {});
      const t = tensor("", value.dtype, [1], [literal.value as number]);
      node.attribute.push(
        create(AttributeProtoSchema, { name: "value", type: AttributeProto_AttributeType.TENSOR, t }),
      );
    } else {
      this.#initializers.push(tensor(name, value.dtype, shape, elements(literal, size)));
    }
    return name;
  }
}

function elements(literal: Literal, size: number): ArrayLike<number> {
  if (literal.kind === "data") return literal.data;
  if (literal.kind === "dims") return literal.entries as number[];
  const at =
    literal.kind === "fill"
      ? () => literal.value as number
      : (i: number) => (literal.start as number) + i * literal.step;
  return Array.from({ length: size }, (_, i) => at(i));
}

function tensor(name: string, dtype: ElementType, shape: readonly number[], values: ArrayLike<number>): TensorProto {
  return create(TensorProtoSchema, {
    name,
    dataType: ONNX_TYPES[dtype],
    dims: shape.map(BigInt),
    rawData: rawBytes(dtype, values),
  });
}

/** Little-endian, as every platform JavaScript runs on. Arrays of the right type are not copied. */
function rawBytes(dtype: ElementType, values: ArrayLike<number>): Uint8Array {
  const data =
    dtype === "int64"
      ? BigInt64Array.from(Array.from(values, BigInt))
      : dtype === "float32"
        ? values instanceof Float32Array
          ? values
          : Float32Array.from(values)
        : dtype === "int32"
          ? values instanceof Int32Array
            ? values
            : Int32Array.from(values)
          : dtype === "float64"
            ? Float64Array.from(values)
            : Uint8Array.from(values);
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

/** ONNX attributes that are floats even when their value is a whole number. */
const FLOATS = new Set(["alpha", "beta", "gamma", "epsilon"]);

function attributeProto(name: string, value: Attributes[string]): AttributeProto {
  const Type = AttributeProto_AttributeType;
  if (typeof value === "string")
    return create(AttributeProtoSchema, { name, type: Type.STRING, s: new TextEncoder().encode(value) });
  if (typeof value !== "number")
    return create(AttributeProtoSchema, { name, type: Type.INTS, ints: value.map(BigInt) });
  if (FLOATS.has(name)) return create(AttributeProtoSchema, { name, type: Type.FLOAT, f: value });
  return create(AttributeProtoSchema, { name, type: Type.INT, i: BigInt(value) });
}

function valueInfo({ name, dtype, shape }: Port): ValueInfoProto {
  const dim = shape.map((size) => ({
    value:
      typeof size === "number"
        ? ({ case: "dimValue", value: BigInt(size) } as const)
        : ({ case: "dimParam", value: size } as const),
  }));
  return create(ValueInfoProtoSchema, {
    name,
    type: { value: { case: "tensorType", value: { elemType: ONNX_TYPES[dtype], shape: { dim } } } },
  });
}
