/** What `kind` of a manifest is. */
export const EXPORT_KIND = "tensorar-export";

/** One decoder step: the previous tensor and the KV cache in, k rows of logits and the new cache rows out. */
export const DECODER = "decoder.onnx";
/** Codes to images in [-1, 1], NHWC. */
export const IMAGE_DECODER = "image-decoder.onnx";
/** The decoder step with the cache as its state; for runtimes that can keep it on the device but not write rows into it. */
export const DEVICE_RESIDENT = "decoder-resident.onnx";
/** The second sub-tokens of tokens given the first; only for models whose tokens consist of two. */
export const NEXT_SUB_TOKEN = "next-factor.onnx";
/** All of generation, where it was asked for. */
export const GENERATION = "generation.onnx";

/** The graphs that an export may hold. */
export const GRAPHS = [DECODER, IMAGE_DECODER, DEVICE_RESIDENT, NEXT_SUB_TOKEN, GENERATION] as const;

/** The file of a graph. */
export type GraphFile = (typeof GRAPHS)[number];
