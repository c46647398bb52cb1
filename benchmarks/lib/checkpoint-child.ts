// In a process of its own, so that its peak memory is that of one job: converts or loads a checkpoint, prints the figures.
import { convertToSafetensors, readCheckpoint } from "@tensorar/checkpoint/node";

const [job, source, target] = process.argv.slice(2) as [string, string, string];
const start = performance.now();
if (job === "load") await readCheckpoint(source);
else await convertToSafetensors(source, target, job === "bfloat16" ? { dtype: job } : {});
const seconds = (performance.now() - start) / 1000;
console.log(JSON.stringify({ seconds, peakBytes: process.resourceUsage().maxRSS * 1024 }));
