import { type DType, TensorARError, type TensorData, type TypedArray } from "@tensorar/core";
import { type CompiledFunction, openModel, type Port, type RuntimeOptions } from "@tensorar/onnx/run";
import type { DescriptionOf } from "./description";
import type { TokenRunner } from "./text-encoder";

const INPUTS = ["input_ids", "attention_mask"] as const;

/** What an ONNX file of a text encoder takes: whole numbers, of whichever type it was exported with. */
type Tokens = Readonly<Record<(typeof INPUTS)[number], TensorData>>;

/**
 * An ONNX file that takes `input_ids` and `attention_mask` [B, T], as Optimum exports encoders.
 * @param path of the file
 * @throws TensorARError when the file can't be opened, or takes or returns something else
 */
export async function openOnnxEncoder(
  path: string,
  { width, output }: DescriptionOf<"onnx">["encoder"],
  options: RuntimeOptions,
): Promise<TokenRunner> {
  const run: CompiledFunction<Tokens, Readonly<Record<string, TensorData>>> = await openModel(path, options);
  try {
    const ids = inputOf(path, run.inputs, "input_ids");
    const mask = inputOf(path, run.inputs, "attention_mask");
    const other = run.inputs.find(({ name }) => !INPUTS.some((known) => known === name));
    if (other) throw refused(path, `it takes "${other.name}" too; export the encoder alone`);
    if (!run.outputs.some(({ name }) => name === output)) {
      const names = run.outputs.map(({ name }) => `"${name}"`).join(", ");
      throw refused(path, `it returns ${names}, not "${output}"; name one of them as "output" in config.json`);
    }
    return {
      width,
      run: async (tokens, own) => (await run({ input_ids: ids(tokens), attention_mask: mask(own) }))[output]!,
      dispose: () => run.dispose(),
    };
  } catch (error) {
    await run.dispose();
    throw error;
  }
}

const refused = (path: string, what: string): TensorARError =>
  new TensorARError(`${path}: ${what}`, { code: "unsupported" });

/** Whole numbers in the types that inputs may have. */
const CASTS: Readonly<Partial<Record<DType, (data: Int32Array) => TypedArray>>> = {
  int32: (data) => data,
  int64: (data) => BigInt64Array.from(data, BigInt),
  float32: (data) => Float32Array.from(data),
  bool: (data) => Uint8Array.from(data),
};

/** An input by name, with what turns tokens into the type that it has. */
function inputOf(path: string, inputs: readonly Port[], name: (typeof INPUTS)[number]) {
  const port = inputs.find((each) => each.name === name);
  if (!port) {
    const names = inputs.map((each) => `"${each.name}"`).join(", ");
    throw refused(path, `it takes ${names}, not "${name}"; export it with the inputs ${INPUTS.join(" and ")}`);
  }
  const { dtype } = port;
  const cast = CASTS[dtype];
  if (!cast) throw refused(path, `its input "${name}" is ${dtype}; export it with int64`);
  return ({ shape, data }: TensorData<"int32">): TensorData => ({ dtype, shape, data: cast(data) });
}
