// One thread of `copyBandwidth`: copies its own block when told to, and says how long that took.
import { parentPort, workerData } from "node:worker_threads";

const { bytes, runs } = workerData;
const from = new Uint8Array(bytes).fill(1);
const to = new Uint8Array(bytes).fill(2); // touched, so that no page is first mapped while the clock runs
parentPort.once("message", () => {
  const start = performance.now();
  for (let run = 0; run < runs; run++) to.set(from);
  parentPort.postMessage(performance.now() - start);
});
parentPort.postMessage("ready");
