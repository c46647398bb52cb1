import { optionsCall, testOptions } from "@tensorar/testing/options";
import {
  clipScore,
  createInceptionScore,
  createRefinement,
  frechetDistance,
  inceptionScore,
  kernelDistance,
  manifoldScores,
  precisionRecall,
  psnr,
  type RowProducts,
  refinementStatistics,
  ssim,
} from "../src/index";

/** [4, 2] */
const features = (shift: number) => ({
  count: 4,
  dims: 2,
  data: Float32Array.of(0, 1, 1, 0, 2, 1, 1, 3).map((value) => value + shift),
});
const [REAL, FAKE] = [features(0), features(0.5)];
const GAUSSIAN = { mean: Float64Array.of(0, 1), covariance: Float64Array.of(1, 0, 0, 1) };
const IMAGE = Float32Array.from({ length: 11 * 11 }, (_, i) => i);
const TRACE = Int32Array.of(-1, 1, 2, 2); // [1, 2, 2]

const products: RowProducts = async (a, b, { rowsA, rowsB, dims }) =>
  Float32Array.from({ length: rowsA * rowsB }, (_, at) => {
    const [i, j] = [Math.floor(at / rowsB) * dims, (at % rowsB) * dims];
    return a[i]! * b[j]! + a[i + 1]! * b[j + 1]!;
  });

testOptions({
  kernelDistance: optionsCall({ subsets: 2, subsetSize: 3, seed: 1 }, (options) => kernelDistance(REAL, FAKE, options)),
  manifoldScores: optionsCall({ k: 1, products }, (options) => manifoldScores(REAL, FAKE, options)),
  precisionRecall: optionsCall({ k: 1 }, (options) => precisionRecall(REAL, FAKE, options)),
  "precisionRecall, as a set": optionsCall(REAL, (set) => precisionRecall(set, FAKE, { k: 1 })),
  clipScore: optionsCall(REAL, (set) => clipScore(set, FAKE)),
  frechetDistance: optionsCall(GAUSSIAN, (gaussian) => frechetDistance(gaussian, GAUSSIAN)),
  ssim: optionsCall({ count: 1, height: 11, width: 11, channels: 1, range: 255 }, (pairs) => ssim(IMAGE, IMAGE, pairs)),
  psnr: optionsCall({ peak: 255 }, (options) => psnr(Uint8Array.of(1, 2), Uint8Array.of(1, 3), options)),
  inceptionScore: optionsCall({ classes: 2, splitSize: 2 }, (options) =>
    inceptionScore(Float32Array.of(0.5, 0.5, 1, 0), options),
  ),
  createInceptionScore: optionsCall({ classes: 2, splitSize: 2, first: 0 }, createInceptionScore),
  createRefinement: optionsCall({ tokens: 2, windowSize: 2 }, createRefinement),
  refinementStatistics: optionsCall({ images: 1, tokens: 2, windowSize: 2 }, (shape) =>
    refinementStatistics(TRACE, shape),
  ),
});
