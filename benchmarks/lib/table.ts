import { markdownTable } from "markdown-table";
import type { Machine } from "./machine";
import type { Row } from "./row";

/** One line that names the hardware and the software that the numbers depend on. */
export function describeMachine({ cpu, cores, memoryGB, platform, node, onnxruntime }: Machine): string {
  return `${cpu}, ${cores} cores, ${memoryGB} GB, ${platform}, Node ${node}, ONNX Runtime ${onnxruntime}`;
}

/** Rows as a Markdown table, to be read in a terminal or pasted into a report. */
export function formatTable(rows: readonly Row[]): string {
  const lines = rows.map(({ name, value, unit, peer, ratio, floorRatio }) => [
    name,
    number(value),
    unit,
    peer === null ? "absent" : number(peer),
    ratio === null ? "–" : `${number(ratio)}×`,
    floorRatio === null ? "–" : `${number(floorRatio)}×`,
  ]);
  const header = ["", "value", "unit", "peer", "times the peer", "times the floor"];
  return markdownTable([header, ...lines], { align: ["l", "r", "l", "r", "r", "r"] });
}

/** Three significant digits, never in exponent form. */
function number(value: number): string {
  return value.toLocaleString("en-US", { maximumSignificantDigits: 3, useGrouping: false });
}
