import { join } from "node:path";
import type { CommandBody } from "@tensorar/cli";
import { checkOutputFile, writeFileAtomic } from "@tensorar/core/node";
import { buildReport, openRunFolder } from "@tensorar/evaluation/report";
import { TOKENIZER_KINDS } from "@tensorar/tokenizer";
import { loadTokenizer } from "@tensorar/tokenizer/node";
import type { Settings } from "../declarations/report";
import { openEngine } from "../open-engine";
import { openTokenizer } from "../tokenizer-runner";

export const command: CommandBody<Settings> = {
  async run(settings) {
    const out = settings.output ?? join(settings.run, "report.html");
    await checkOutputFile(out, settings);
    const engine = await openEngine(settings);
    const run = await openRunFolder(settings.run, console.error);
    const tokenizer = await openTokenizer(await loadTokenizer(settings.tokenizer, TOKENIZER_KINDS), engine);
    try {
      await writeFileAtomic(out, await buildReport(run, tokenizer));
    } finally {
      await tokenizer.dispose();
    }
    console.log(`report written to ${out}`);
  },
};
