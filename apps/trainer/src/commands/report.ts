import { join } from "node:path";
import type { CommandBody } from "@tensorar/cli";
import { checkOutputFile, writeFileAtomic } from "@tensorar/core/node";
import type { Settings } from "../declarations/report";
import { openEngine } from "../open-engine";
import { buildReport } from "../report/build-report";

export const command: CommandBody<Settings> = {
  async run(settings) {
    const out = settings.out ?? join(settings.run, "report.html");
    await checkOutputFile(out, settings);
    const engine = await openEngine(settings);
    await writeFileAtomic(out, await buildReport(settings.run, settings.tokenizer, engine));
    console.log(`report written to ${out}`);
  },
};
