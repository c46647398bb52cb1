import type { Graph } from "../graph";
import { eliminateCommonSubexpressions } from "./cse";
import { eliminateDeadCode } from "./dead";
import { type FusionTarget, fuseOperators } from "./fuse";
import { simplify } from "./simplify";
import { lowerSymbolic } from "./symbolic";

/** More rounds than any graph has needed to settle. */
const MOST_ROUNDS = 8;

/** Everything between the recorded graph and the file; with a target, in ONNX Runtime's own operators where they are faster. */
export function optimize(graph: Graph, fuse?: FusionTarget): Graph {
  let current = eliminateDeadCode(graph);
  for (let round = 0; round < MOST_ROUNDS; round++) {
    const next = eliminateDeadCode(eliminateCommonSubexpressions(simplify(current)));
    if (next === current) break;
    current = next;
  }
  const fused = fuse === undefined ? current : fuseOperators(current, fuse);
  return eliminateDeadCode(eliminateCommonSubexpressions(lowerSymbolic(fused)));
}
