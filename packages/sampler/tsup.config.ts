import { library } from "../../tsup.base.ts";

export default library({ index: "src/index.ts", graph: "src/graph/index.ts" });
