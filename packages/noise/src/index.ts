export { TensorARError } from "@tensorar/core";
export { type StreamAddress, streamAddress } from "./address";
export { type CorruptOptions, corruptWindows, hiddenTokens } from "./corrupt";
export { philox4x32, type Uint32x2, type Uint32x4 } from "./philox";
export { type NoiseSchedule, noiseRates } from "./schedule";
export { createStream, fillUniform, fillWords, permutation, type RandomStream } from "./stream";
export { viewWeights } from "./view-weights";
export { BLANK, PAD, type SlideOptions, slideWindows } from "./windows";
