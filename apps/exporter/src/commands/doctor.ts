import type { CommandBody } from "@tensorar/cli";
import { diagnose } from "../doctor";

export const command: CommandBody<Record<string, never>> = {
  async run() {
    console.log(await diagnose([import.meta.url]));
  },
};
