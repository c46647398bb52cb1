import { join } from "node:path";
import { writeFileAtomic } from "@tensorar/core/node";
import { z } from "zod";
import type { CommandDefinition } from "../command";
import { chooseEngine } from "../engine/choose-engine";
import { buildReport } from "../report/build-report";
import { engineSettings } from "./settings";

const schema = z.strictObject({
  run: z.string().describe("folder with data/, samples/, evaluations/ and the rest, laid out as `npm run demo` does"),
  tokenizer: z.string().describe("tokenizer folder, to draw refinement by depth"),
  out: z.string().optional().describe("page to write; RUN/report.html when left out"),
  ...engineSettings,
});

export const reportCommand: CommandDefinition<typeof schema.shape> = {
  name: "report",
  description: "write one HTML page about a run: pictures, curves, metrics, verdict",
  schema,
  async run(settings) {
    const engine = await chooseEngine(settings.engine, settings.threads);
    const out = settings.out ?? join(settings.run, "report.html");
    await writeFileAtomic(out, await buildReport(settings.run, settings.tokenizer, engine));
    console.log(`report written to ${out}`);
  },
};
