import { KERNEL_CASES } from "./kernels.table";

/** The README's list of kernels lies between these two lines. */
const BEGIN = "<!-- kernels, written by `npm run docs:kernels` -->";
const END = "<!-- end of kernels -->";

/** All kernels that have a row, sorted, in lines of README width. */
export function kernelList(): string {
  const names = [...new Set(KERNEL_CASES.map(({ kernel }) => kernel))].sort();
  const lines = [`${names.length} kernels:`];
  for (const [i, name] of names.entries()) {
    const item = `\`${name}\`${i < names.length - 1 ? "," : "."}`;
    const line = lines.at(-1)!;
    if (line.length + 1 + item.length <= 124) lines[lines.length - 1] = `${line} ${item}`;
    else lines.push(item);
  }
  return lines.join("\n");
}

/** The README with the list of kernels put in. */
export function withKernelList(readme: string): string {
  const [begin, end] = [readme.indexOf(BEGIN), readme.indexOf(END)];
  if (begin < 0 || end < begin) throw new Error(`the README has no lines "${BEGIN}" and "${END}"`);
  return `${readme.slice(0, begin + BEGIN.length)}\n\n${kernelList()}\n\n${readme.slice(end)}`;
}
