import type { Graph } from "../graph";
import { removeDead } from "./dead";
import { lowerSymbolic } from "./symbolic";

/** Everything between the recorded graph and the file. */
export function optimize(graph: Graph): Graph {
  return lowerSymbolic(removeDead(graph));
}
