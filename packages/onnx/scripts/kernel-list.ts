import { readFileSync, writeFileSync } from "node:fs";
import { withKernelList } from "../test/kernel-list";

/** Brings the README's list of kernels up to date. */
const readme = new URL("../README.md", import.meta.url);
writeFileSync(readme, withKernelList(readFileSync(readme, "utf8")));
