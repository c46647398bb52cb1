import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { KERNELS } from "../src/kernels";
import { kernelList, withKernelList } from "./kernel-list";

const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8");

test("the README's list of kernels is up to date (npm run docs:kernels writes it)", () => {
  expect(withKernelList(readme)).toBe(readme);
});

test("the list holds exactly the kernels that can be traced", () => {
  const listed = [...kernelList().matchAll(/`(\w+)`/g)].map(([, name]) => name);
  expect(listed.sort()).toEqual(Object.keys(KERNELS).sort());
});
