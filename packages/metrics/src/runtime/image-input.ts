import { TensorARError } from "@tensorar/core";
import type { Preprocessing } from "../extractor/preprocess";
import { isOpen, type RuntimeValue } from "./session";

export interface ImageInput {
  readonly name: string;
  /** How many images the model is fixed to; undefined: any number. */
  readonly fixed: number | undefined;
  /** Whether it takes one image without an axis for several. */
  readonly single: boolean;
}

/** Compares a model's input with what preprocessing makes. @throws TensorARError where they do not fit */
export function checkImageInput(where: string, input: RuntimeValue, { size, layout }: Preprocessing): ImageInput {
  const { name, isTensor, type, shape = [] } = input;
  const place = `${where}: input "${name}"`;
  if (!isTensor || type !== "float32")
    throw new TensorARError(`${place} is ${isTensor ? type : "no tensor"}; only float32 is fed; export it so`);
  const wanted = layout === "NCHW" ? [3, ...size] : [...size, 3];
  const single = shape.length === 3;
  const sides = single ? shape : shape.slice(1);
  const fits = sides.length === 3 && sides.every((side, i) => isOpen(side) || side === wanted[i]);
  if (!fits) {
    const remedy = "set size and layout to what it takes";
    throw new TensorARError(
      `${place} is [${shape.join(", ")}]; the preprocessing makes [N, ${wanted.join(", ")}]; ${remedy}`,
    );
  }
  return { name, single, fixed: single ? 1 : isOpen(shape[0]) ? undefined : (shape[0] as number) };
}
