import { availableParallelism } from "node:os";
import { defineConfig } from "vitest/config";

// Tests run on the sources of all packages: the "@tensorar/source" export condition points there.
const conditions = ["@tensorar/source", "module", "node", "development|production"];

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions } },
  test: {
    include: ["{packages,apps}/*/test/**/*.test.ts", "{scripts,fuzz,experiments}/test/**/*.test.ts"],
    testTimeout: 240_000,
    hookTimeout: 240_000,
    pool: "forks",
    // One file alone leaves a second processor half idle.
    maxWorkers: Math.max(2, availableParallelism() - 1),
    env: { ORT_DISABLE_TELEMETRY: "1" },
  },
});
