import { copyBandwidth, matmulRate } from "./lib/machine";
import { type Row, rateRow } from "./lib/row";
import { torchNumber } from "./lib/torch-peer";

/** What this machine can do at all: the floors that the other benchmarks compare with. */
export async function* run(): AsyncGenerator<Row> {
  const copyPeer = await torchNumber(["copy"], "GB_per_s");
  yield rateRow("memory copy, read and written", await copyBandwidth(), "GB/s", { peer: copyPeer });
  const matmulPeer = await torchNumber(["matmul"], "GFLOP_per_s");
  yield rateRow("matrix product 1024³, float32", await matmulRate(), "GFLOP/s", { peer: matmulPeer });
}
