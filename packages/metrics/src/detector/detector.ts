import { TensorARError } from "@tensorar/core";
import { expectInteger } from "../checks";
import {
  checkPreprocessing,
  type Placement,
  type Preprocessing,
  placementOf,
  preprocess,
} from "../extractor/preprocess";
import type { Detection } from "../geneval/score";
import { expectRgb, type RgbImages } from "../images";
import { checkImageInput, type ImageInput } from "../runtime/image-input";
import {
  findInput,
  integerTensor,
  isOpen,
  openSession,
  orRelease,
  type RuntimeSession,
  type RuntimeTensor,
  type RuntimeValue,
  runtimeTensor,
  type SessionOptions,
} from "../runtime/session";
import { NO_CLASS } from "./coco";
import { checkOutputs, type DetectorOutputs, outputNames, readDetections } from "./outputs";

/** An ONNX detector, and how it takes images and returns boxes. */
export interface DetectorOptions extends SessionOptions {
  /** As for `userExtractor`; boxes come back in pixels of the original images, however these were resized, padded or cut. */
  readonly preprocessing: Preprocessing;
  readonly outputs: DetectorOutputs;
  /** Name of every label, from 0 on; `cocoClasses` has COCO's. Detections of a class named "" are dropped. */
  readonly classes: readonly string[];
  /** Name of the input of images; needed where the model has several. */
  readonly input?: string;
  /** Name of an input that says where the image is (1) and where padding (0), which some exports of DETR have. */
  readonly mask?: string;
}

/** A network that finds objects in images, ready to run. */
export interface Detector {
  /** What each image shows. Images are run one by one, since that is how detectors are exported. */
  detect(images: RgbImages): Promise<Detection[][]>;
  /** Frees the runtime's memory. */
  dispose(): Promise<void>;
}

const WHERE = "userDetector";

/**
 * Opens a detector that an ONNX file holds, such as one exported from torchvision, mmdetection or transformers.
 *
 * @throws TensorARError where the file can't be opened, or its inputs and outputs are not what the options say; `detect` throws
 *   for labels without a name, and scores and boxes that can't be meant
 */
export async function userDetector(options: DetectorOptions): Promise<Detector> {
  const { preprocessing, classes, outputs, mask } = options;
  checkPreprocessing(WHERE, preprocessing);
  if (options.threads !== undefined) expectInteger(WHERE, "threads", options.threads, 1, 2 ** 31);
  if (classes.length === 0) throw new TensorARError(`${WHERE}: classes is empty; name every label of the detector`);
  const session = await openSession(WHERE, options);
  return orRelease(session, () => {
    const known = mask === undefined ? [] : [mask];
    const input = findInput(
      WHERE,
      session,
      options.input,
      known,
      "name its mask with `mask`, or export it without others",
    );
    const images = checkImageInput(WHERE, input, preprocessing);
    if (images.fixed !== undefined && images.fixed !== 1)
      throw new TensorARError(`${WHERE}: the model takes ${images.fixed} images at once; export it for one`);
    checkOutputs(WHERE, session, outputs, classes.length);
    const maskInput = session.inputMetadata.find(({ name }) => name === mask);
    const run = new Runs(session, images, maskInput, options);
    return { detect: (images) => run.detect(images), dispose: () => session.release() };
  });
}

class Runs {
  constructor(
    private readonly session: RuntimeSession,
    private readonly input: ImageInput,
    private readonly mask: RuntimeValue | undefined,
    private readonly options: DetectorOptions,
  ) {}

  async detect(images: RgbImages): Promise<Detection[][]> {
    expectRgb(WHERE, images);
    const found: Detection[][] = [];
    for (let i = 0; i < images.count; i++) found.push(await this.#run(images, i));
    return found;
  }

  async #run(images: RgbImages, index: number): Promise<Detection[]> {
    const { runtime, preprocessing, outputs, classes } = this.options;
    const { size, layout } = preprocessing;
    const values = preprocess(WHERE, images, [index, index + 1], preprocessing);
    const image = layout === "NCHW" ? [3, ...size] : [...size, 3];
    const dims = this.input.single ? image : [1, ...image];
    const placement = placementOf(WHERE, [images.height, images.width], preprocessing);
    const results = await this.session.run(
      {
        [this.input.name]: runtimeTensor(runtime, "float32", values, dims),
        ...(this.mask && { [this.mask.name]: this.#maskOf(this.mask, placement) }),
      },
      outputNames(outputs),
    );
    const tensors = results as Record<string, RuntimeTensor>;
    const raw = readDetections(WHERE, tensors, outputs, { classes: classes.length, size });
    return raw.flatMap(({ label, score, box }) => {
      const name = classes[label]!;
      return name === NO_CLASS ? [] : [{ class: name, score, box: toImage(box, placement, images) }];
    });
  }

  /** Ones where the image is; models fix its size or take that of the input. */
  #maskOf(input: RuntimeValue, { scaled, top, left }: Placement): unknown {
    const { size } = this.options.preprocessing;
    const [height, width] = (input.shape ?? []).slice(-2).map((side, i) => (isOpen(side) ? size[i]! : Number(side)));
    if (height === undefined || width === undefined)
      throw new TensorARError(`${WHERE}: input "${input.name}" is [${input.shape}]; a mask is [1, height, width]`);
    const inside = (at: number, side: number, axis: 0 | 1): boolean => {
      const pixel = ((at + 0.5) * size[axis]) / side - (axis === 0 ? top : left);
      return pixel >= 0 && pixel < scaled[axis];
    };
    const values = Array.from({ length: height * width }, (_, i) =>
      inside(Math.floor(i / width), height, 0) && inside(i % width, width, 1) ? 1 : 0,
    );
    return integerTensor(WHERE, this.options.runtime, input, values, [1, height, width]);
  }
}

/** A box of the network's input in pixels of the image, as far as it lies inside. */
function toImage(
  [x0, y0, x1, y1]: Detection["box"],
  { scaled, top, left }: Placement,
  { height, width }: RgbImages,
): Detection["box"] {
  const x = (at: number) => Math.min(width, Math.max(0, ((at - left) * width) / scaled[1]));
  const y = (at: number) => Math.min(height, Math.max(0, ((at - top) * height) / scaled[0]));
  return [x(x0), y(y0), x(x1), y(y1)];
}
