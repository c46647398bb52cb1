import { expect, test } from "vitest";
import { captionOf } from "../src/files/captions";
import { extensionOf, hasImageName, isHidden } from "../src/files/image-names";
import { createTally, describeCounts } from "../src/files/left-out";
import { byName } from "../src/files/natural-order";

const shuffled = <T>(items: readonly T[]): T[] => items.map((_, i) => items[(i * 7 + 3) % items.length]!); // 7 divides no length below

test("names are sorted as people count, all else by code unit", () => {
  const indices = Array.from({ length: 12 }, (_, i) => String(i));
  expect(shuffled(indices).sort(byName)).toEqual(indices);
  const steps = ["step-2.png", "step-10.png", "step-010.png", "step-9999999999999999998", "step-9999999999999999999"];
  expect(steps.toReversed().sort(byName)).toEqual([
    ...["step-2.png", "step-010.png", "step-10.png", "step-9999999999999999998", "step-9999999999999999999"],
  ]);
  // As torchvision's ImageFolder: capitals first, letters of other languages after those of ASCII.
  expect(["é", "b", "B", "a b", "a1", "a"].sort(byName)).toEqual(["B", "a", "a b", "a1", "b", "é"]);
  // What a folder holds stays together.
  expect(["a b/1", "a/2", "a/10", "a-1/3"].sort(byName)).toEqual(["a/2", "a/10", "a b/1", "a-1/3"]);
  expect(byName("n01440764", "n01443537")).toBeLessThan(0);
  expect(byName("01", "1")).toBeLessThan(0);
  expect(byName("1", "1")).toBe(0);
});

test("image names and hidden names", () => {
  for (const name of ["a.png", "A.JPG", "x.v1.0.Jfif", "c/d.TIFF", "e.bmp", "f.avif"])
    expect(hasImageName(name), name).toBe(true);
  for (const name of ["png", ".png", "a.png/x", "a.txt", "a.svg", "a.png.json"])
    expect(hasImageName(name), name).toBe(false);
  expect(extensionOf("dir.d/name")).toBe("");
  for (const name of ["._0.png", ".ipynb_checkpoints", "Thumbs.db", "desktop.ini", "__MACOSX", "@eaDir"])
    expect(isHidden(name), name).toBe(true);
  for (const name of [".", "..", "0.png", "macosx", "_x"]) expect(isHidden(name), name).toBe(false);
});

test("what is left out is counted by reason, with the first example", () => {
  const tally = createTally();
  tally.add("hidden", "._0.png");
  tally.add("broken", "7.png");
  tally.merge([{ reason: "hidden", count: 2, first: "._1.png" }]);
  expect(tally.list()).toEqual([
    { reason: "hidden", count: 3, first: "._0.png" },
    { reason: "broken", count: 1, first: "7.png" },
  ]);
  expect(describeCounts({ taken: 12, leftOut: tally.list() })).toBe(
    "12 images; left out 4 files: hidden (3, first ._0.png), broken (1, 7.png)",
  );
  expect(describeCounts({ taken: 2, leftOut: [] })).toBe("2 images");
});

test("captions keep tabs and line breaks, and hold no other control character", () => {
  expect(captionOf(" a\tcat\r\non a mat \n", "x")).toBe("a\tcat\r\non a mat");
  expect(captionOf("zwölf – 猫 🐈", "x")).toBe("zwölf – 猫 🐈");
  expect(() => captionOf("c\0a\0t\0", "x.txt")).toThrow(/^x\.txt: a control character \(U\+0000\) at place 1/);
  expect(() => captionOf("a\x1bb", "x.txt")).toThrow(/U\+001B/);
});
