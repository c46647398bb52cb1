import { createHash } from "node:crypto";
import { readdirSync } from "node:fs";
import { defineConfig, type Plugin } from "vite";

const isolated = {
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
};

/** Tells the service worker which files there are: those of the page itself are kept at once, others when they are first used. */
function listFiles(): Plugin {
  return {
    name: "list-files",
    apply: "build",
    generateBundle(_, bundle) {
      const files = Object.keys(bundle).filter((file) => file !== "sw.js");
      const shell = ["./", ...files.filter((file) => !/^assets\/ort/.test(file) && file !== "index.html")];
      const served = readdirSync("models", { recursive: true, encoding: "utf8" }).map((file) =>
        file.replaceAll("\\", "/"),
      );
      const worker = bundle["sw.js"];
      if (worker?.type !== "chunk") throw new Error("the service worker is not built");
      const version = createHash("sha256")
        .update(JSON.stringify([files, served]))
        .digest("hex")
        .slice(0, 12);
      worker.code = worker.code.replace("__FILES__", JSON.stringify({ version, shell, all: [...files, ...served] }));
    },
  };
}

export default defineConfig({
  base: "./",
  publicDir: "models",
  // ONNX Runtime's loader and WebAssembly stay files of their own, which its threads load too.
  resolve: { conditions: ["onnxruntime-web-use-extern-wasm", "browser", "module", "import", "development|production"] },
  worker: { format: "es" },
  plugins: [listFiles()],
  build: {
    target: "es2022",
    chunkSizeWarningLimit: 800,
    rolldownOptions: {
      input: { index: "index.html", sw: "src/service-worker/sw.ts" },
      output: { entryFileNames: ({ name }) => (name === "sw" ? "sw.js" : "assets/[name]-[hash].js") },
    },
  },
  server: { headers: isolated },
});
