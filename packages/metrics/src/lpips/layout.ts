/** Convolutions of VGG-16 up to each of the five layers that are compared, by their names in LPIPS' module. */
export const SLICES: readonly (readonly [name: string, from: number, to: number])[][] = [
  [
    ["net.slice1.0", 3, 64],
    ["net.slice1.2", 64, 64],
  ],
  [
    ["net.slice2.5", 64, 128],
    ["net.slice2.7", 128, 128],
  ],
  [
    ["net.slice3.10", 128, 256],
    ["net.slice3.12", 256, 256],
    ["net.slice3.14", 256, 256],
  ],
  [
    ["net.slice4.17", 256, 512],
    ["net.slice4.19", 512, 512],
    ["net.slice4.21", 512, 512],
  ],
  [
    ["net.slice5.24", 512, 512],
    ["net.slice5.26", 512, 512],
    ["net.slice5.28", 512, 512],
  ],
];

/** Shape of every parameter by its name; `net.sliceI.J` is `features.J` of torchvision's `vgg16`. Filters are OIHW. */
export function lpipsShapes(): Readonly<Record<string, readonly number[]>> {
  return Object.fromEntries([
    ...SLICES.flat().flatMap(([name, from, to]) => [
      [`${name}.weight`, [to, from, 3, 3]],
      [`${name}.bias`, [to]],
    ]),
    ...SLICES.map((slice, i) => [`lin${i}.model.1.weight`, [1, slice[0]![2], 1, 1]]),
  ]);
}
