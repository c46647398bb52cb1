import { create, toBinary } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { TensorARError } from "@tensorar/core";
import { toFloat16 } from "./float16";
import {
  type AttributeProto,
  AttributeProto_AttributeType,
  AttributeProtoSchema,
  type GraphProto,
  GraphProtoSchema,
  ModelProtoSchema,
  type NodeProto,
  NodeProtoSchema,
  type TensorProto,
  TensorProtoSchema,
  type ValueInfoProto,
  ValueInfoProtoSchema,
} from "./generated/onnx_pb";
import { type Attributes, type ElementType, type Literal, ONNX_TYPES, type Value } from "./graph";
import { type ComposedModel, type OnnxModel, type Port, writtenOf } from "./model";
import { contentKey } from "./passes/cse";

/** ONNX operator set 21 and IR 10: ONNX 1.16, read by ONNX Runtime from 1.18 on. */
export const OPSET = 21;

/** Operators of ONNX Runtime itself. */
const RUNTIME_DOMAIN = "com.microsoft";
const RUNTIME_OPERATORS = new Set([
  "FastGelu",
  "Gelu",
  "MatMulNBits",
  "QuickGelu",
  "RotaryEmbedding",
  "SkipLayerNormalization",
  "SkipSimplifiedLayerNormalization",
]);
/** Those whose outputs may be left out: their names are empty then. */
const OPTIONAL_OUTPUTS = new Set(["SkipLayerNormalization", "SkipSimplifiedLayerNormalization"]);
const IR_VERSION = 10;

/** Protobuf files end at 2 GiB. */
export const PROTOBUF_LIMIT = 2 ** 31 - 1;

/** Fills of more elements than this are made at load time instead of stored. */
const STORED_FILL = 64;

/** The bytes of an `.onnx` file. @throws TensorARError past 2 GiB: `saveModel` puts the weights beside the file then. */
export function serializeModel(model: OnnxModel | ComposedModel): Uint8Array {
  const chunks = encodeModel(writeGraph(model));
  const size = totalLength(chunks);
  if (size > PROTOBUF_LIMIT) {
    throw new TensorARError(
      `model "${model.name}" has ${size} bytes, and protobuf ends at 2 GiB; use saveModel(), which stores the weights beside it`,
    );
  }
  return joined(chunks);
}

/** A tensor of the file: its description, and its bytes unless they are stored elsewhere. */
export interface Initializer {
  readonly tensor: TensorProto;
  readonly bytes?: Uint8Array;
  /** The graph of a loop or a choice that it is part of; default: the whole. */
  readonly owner?: GraphProto;
}

/** A graph ready to be encoded; its message has no initializers. */
export interface WrittenGraph {
  readonly proto: GraphProto;
  readonly initializers: readonly Initializer[];
}

const isTraced = (model: object): model is OnnxModel => "graph" in Object(model);

/** What a model was composed of, if it was, or its traced graph. @throws TensorARError when it is neither */
export function writeGraph(model: OnnxModel | ComposedModel): WrittenGraph {
  const written = writtenOf(model);
  if (written) return written;
  if (!isTraced(model)) throw new TensorARError("there is no model to write; pass what trace, loop or cond returns");
  return writeScope(model, "");
}

/**
 * One of several graphs that become one: names of its own begin with `prefix`, so that they differ from the others'. Inputs,
 * outputs and weights keep their names, by which the graphs refer to each other.
 */
export const writeScope = (model: OnnxModel, prefix: string): WrittenGraph => new GraphWriter(model, prefix).write();

/**
 * The file in chunks, among them the weights themselves: generated code would copy them once for each level of nesting.
 * The fields of a protobuf message may come in any order.
 */
export function encodeModel({ proto, initializers }: WrittenGraph): Uint8Array[] {
  const tensors = initializers.flatMap(({ tensor, bytes, owner }) =>
    owner
      ? []
      : field(GraphProtoSchema.field.initializer.number, [
          toBinary(TensorProtoSchema, tensor),
          ...(bytes ? field(TensorProtoSchema.field.rawData.number, [bytes]) : []),
        ]),
  );
  const model = create(ModelProtoSchema, {
    irVersion: BigInt(IR_VERSION),
    producerName: "@tensorar/onnx",
    opsetImport: [
      { domain: "", version: BigInt(OPSET) },
      ...(usesDomain(proto, RUNTIME_DOMAIN) ? [{ domain: RUNTIME_DOMAIN, version: 1n }] : []),
    ],
  });
  const graph = [toBinary(GraphProtoSchema, withOwned(proto, initializers)), ...tensors];
  return [toBinary(ModelProtoSchema, model), ...field(ModelProtoSchema.field.graph.number, graph)];
}

/** The graph with the tensors of the graphs inside of it in those. */
function withOwned(graph: GraphProto, initializers: readonly Initializer[]): GraphProto {
  const owned = initializers.filter(({ owner }) => owner === graph);
  return {
    ...graph,
    initializer: owned.map(({ tensor, bytes }) => (bytes ? { ...tensor, rawData: bytes } : tensor)),
    node: graph.node.map((node) => ({
      ...node,
      attribute: node.attribute.map((each) => (each.g ? { ...each, g: withOwned(each.g, initializers) } : each)),
    })),
  };
}

/** Whether operators of a domain are used, in the graphs of loops and choices too. */
const usesDomain = ({ node }: GraphProto, domain: string): boolean =>
  node.some((each) => each.domain === domain || each.attribute.some(({ g }) => g && usesDomain(g, domain)));

/** A length-delimited field. */
function field(number: number, chunks: readonly Uint8Array[]): Uint8Array[] {
  const head = new BinaryWriter().tag(number, WireType.LengthDelimited).uint32(totalLength(chunks)).finish();
  return [head, ...chunks];
}

export const totalLength = (chunks: readonly Uint8Array[]): number =>
  chunks.reduce((sum, { length }) => sum + length, 0);

function joined(chunks: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(totalLength(chunks));
  let offset = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, offset);
    offset += chunk.length;
  }
  return bytes;
}

class GraphWriter {
  readonly #names = new Map<Value, string>();
  readonly #taken = new Set<string>();
  readonly #initializers: Initializer[] = [];
  readonly #constants = new Map<string, string>();
  readonly #nodes: NodeProto[] = [];

  constructor(
    private readonly model: OnnxModel,
    private readonly prefix: string,
  ) {}

  write(): WrittenGraph {
    const { graph, inputs, outputs } = this.model;
    for (const [i, value] of graph.inputs.entries()) this.#names.set(value, this.#claim(inputs[i]!.name));
    for (const { name } of outputs) this.#claim(name);
    for (const [i, { value }] of graph.outputs.entries()) {
      if (value.source.kind === "node" && !this.#names.has(value)) this.#names.set(value, outputs[i]!.name);
    }
    const read = new Set([...graph.nodes.flatMap((node) => node.inputs), ...graph.outputs.map(({ value }) => value)]);
    for (const { op, inputs: operands, attributes, outputs: results } of graph.nodes) {
      this.#push(
        op,
        operands.map((value) => (value ? this.#name(value) : "")),
        results.map((value) => (OPTIONAL_OUTPUTS.has(op) && !read.has(value) ? "" : this.#name(value))),
        attributes,
      );
    }
    for (const [i, { value }] of graph.outputs.entries()) {
      const name = this.#name(value);
      if (name !== outputs[i]!.name) this.#push("Identity", [name], [outputs[i]!.name], {});
    }
    const proto = create(GraphProtoSchema, {
      name: this.model.name,
      node: this.#nodes,
      input: inputs.map(valueInfo),
      output: outputs.map(valueInfo),
    });
    return { proto, initializers: this.#initializers };
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
    let name = `${this.prefix}${base}_${this.#taken.size}`;
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
    if (source.kind === "weight") this.#initialize(name, value, source.data);
    this.#names.set(value, name);
    return name;
  }

  #push(opType: string, input: string[], output: string[], attributes: Attributes): NodeProto {
    const attribute = Object.entries(attributes).map(([name, value]) => attributeProto(name, value));
    const domain = RUNTIME_OPERATORS.has(opType) ? RUNTIME_DOMAIN : "";
    const name = `${this.prefix}${opType}_${this.#nodes.length}`;
    const node = create(NodeProtoSchema, { opType, domain, name, input, output, attribute });
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
      const t = tensor("", value.dtype, [1]);
      t.rawData = rawBytes(value.dtype, [literal.value as number]);
      node.attribute.push(
        create(AttributeProtoSchema, { name: "value", type: AttributeProto_AttributeType.TENSOR, t }),
      );
    } else {
      this.#initialize(name, value, elements(literal, size));
    }
    return name;
  }

  #initialize(name: string, { dtype, shape }: Value, values: ArrayLike<number>): void {
    this.#initializers.push({ tensor: tensor(name, dtype, shape as number[]), bytes: rawBytes(dtype, values) });
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

export const tensor = (name: string, dtype: ElementType, shape: readonly number[]): TensorProto =>
  create(TensorProtoSchema, { name, dataType: ONNX_TYPES[dtype], dims: shape.map(BigInt) });

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
          : dtype === "float16"
            ? values instanceof Uint16Array
              ? values
              : toFloat16(values)
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

export function valueInfo({ name, dtype, shape }: Port): ValueInfoProto {
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
