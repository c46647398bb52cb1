import { setTimeout } from "node:timers/promises";
import { z } from "zod";
import { defineCommand, type Program, runProgram, startProgress } from "../src/index";

// A program for signals.test.ts.

const how = ["stops", "holds", "fails", "breaks"] as const;

const work = defineCommand({
  name: "work",
  description: "work without end",
  schema: z.strictObject({ how: z.enum(how).describe("what happens") }),
  load: async () => ({
    async run({ how }, signal) {
      if (how === "fails") throw new TypeError("x is undefined");
      if (how === "breaks") {
        setImmediate(() => {
          throw new RangeError("from elsewhere");
        });
      }
      const progress = startProgress("work", 1000, "steps");
      progress.update(1);
      console.error("ready");
      if (how === "holds") hold(signal);
      for (;;) {
        await setTimeout(10);
        signal.throwIfAborted();
      }
    },
  }),
});

/** Holds the event loop as native code does: 1 s before the signal is seen, and without end after it. */
function hold(signal: AbortSignal): void {
  const spin = (milliseconds: number) => {
    for (const end = Date.now() + milliseconds; Date.now() < end; );
  };
  signal.addEventListener("abort", () =>
    setImmediate(() => {
      console.error("held");
      spin(20_000);
    }),
  );
  spin(1000);
}

const about = { name: "studio", description: "", version: "1", bugs: "https://example.org/issues" };
await runProgram({ ...about, commands: [work] } satisfies Program);
