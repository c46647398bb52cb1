import { BarChart, LineChart } from "echarts/charts";
import { GridComponent, LegendComponent, TitleComponent } from "echarts/components";
import { init, use } from "echarts/core";
import { SVGRenderer } from "echarts/renderers";

use([LineChart, BarChart, GridComponent, LegendComponent, TitleComponent, SVGRenderer]);

export interface Series {
  readonly name: string;
  readonly points: readonly (readonly [number, number])[];
}

const WIDTH = 640;
const HEIGHT = 300;

function render(option: object): string {
  const chart = init(null, null, { renderer: "svg", ssr: true, width: WIDTH, height: HEIGHT });
  try {
    chart.setOption({ animation: false, grid: { left: 60, right: 20, top: 40, bottom: 45 }, ...option });
    return chart.renderToSVGString();
  } finally {
    chart.dispose();
  }
}

/** Lines over a numeric axis, as an SVG element. */
export const lineChart = (xName: string, yName: string, series: readonly Series[]): string =>
  render({
    legend: { top: 4 },
    xAxis: { type: "value", name: xName, nameLocation: "middle", nameGap: 28, min: "dataMin" },
    yAxis: { type: "value", name: yName, scale: true },
    series: series.map(({ name, points }) => ({ type: "line", name, data: points, showSymbol: false })),
  });

/** Grouped bars, one group a category, as an SVG element. */
export const barChart = (
  categories: readonly string[],
  yName: string,
  series: readonly { name: string; values: readonly number[] }[],
): string =>
  render({
    legend: { top: 4 },
    xAxis: { type: "category", data: categories },
    yAxis: { type: "value", name: yName },
    series: series.map(({ name, values }) => ({ type: "bar", name, data: values })),
  });

/** Means over consecutive groups so that a curve has at most `points` of them. */
export function smooth(points: readonly (readonly [number, number])[], count: number): [number, number][] {
  const group = Math.max(1, Math.ceil(points.length / count));
  const out: [number, number][] = [];
  for (let start = 0; start < points.length; start += group) {
    const part = points.slice(start, start + group);
    out.push([part.at(-1)![0], part.reduce((sum, [, y]) => sum + y, 0) / part.length]);
  }
  return out;
}
