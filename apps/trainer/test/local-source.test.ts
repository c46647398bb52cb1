import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { localSource } from "../src/conversion/local-source";

/** A hub that holds one repository. */
const files: Record<string, string> = {
  "model.safetensors.index.json": "{}",
  "model-1.safetensors": "weights",
  "pytorch_model.bin": "older weights",
  "tokenizer.json": "{}",
  "README.md": "text",
};

let hub: Server;
let cache: string;
const asked: string[] = [];
beforeAll(async () => {
  cache = await mkdtemp(join(tmpdir(), "tensorar hub "));
  hub = createServer((request, response) => {
    const url = new URL(request.url!, "http://hub");
    asked.push(url.pathname);
    const file = /^\/some\/model\/(?:resolve|raw)\/main\/(.*)$/.exec(url.pathname)?.[1];
    if (url.pathname.startsWith("/api/models/some/model/tree/")) {
      const tree = Object.entries(files).map(([path, text]) => ({ type: "file", path, size: text.length, oid: "0" }));
      response.setHeader("content-type", "application/json").end(JSON.stringify(tree));
    } else if (url.pathname.startsWith("/api/models/some/model/paths-info/")) {
      let body = "";
      request.on("data", (chunk) => {
        body += chunk;
      });
      request.on("end", () => {
        const { paths } = JSON.parse(body) as { paths: string[] };
        const commit = { id: "a".repeat(40), title: "", date: "2026-01-01T00:00:00.000Z" };
        const found = paths.filter((path) => path in files);
        const info = found.map((path) => ({
          type: "file",
          path,
          size: files[path]!.length,
          oid: path.padEnd(40, "0").replace(/[^a-z0-9]/g, "0"),
          lastCommit: commit,
        }));
        response.setHeader("content-type", "application/json").end(JSON.stringify(info));
      });
    } else if (file !== undefined && file in files) {
      const text = files[file]!;
      response.setHeader("etag", `"${file}"`).setHeader("x-repo-commit", "a".repeat(40));
      const range = /bytes=(\d+)-(\d+)/.exec(request.headers.range ?? "");
      if (range) {
        response.statusCode = 206;
        response.setHeader("content-range", `bytes ${range[1]}-${range[2]}/${text.length}`);
      }
      response.end(range ? text.slice(Number(range[1]), Number(range[2]) + 1) : text);
    } else {
      response.statusCode = 404;
      response.end("not here");
    }
  });
  await new Promise<void>((resolve) => hub.listen(0, "127.0.0.1", resolve));
  vi.stubEnv("HF_ENDPOINT", `http://127.0.0.1:${(hub.address() as AddressInfo).port}`);
  vi.stubEnv("HF_HUB_CACHE", cache);
  vi.stubEnv("HF_HOME", cache);
});
afterAll(async () => {
  vi.unstubAllEnvs();
  hub.close();
  await rm(cache, { recursive: true, force: true });
});

test("local paths stay as they are, and none is none", async () => {
  expect(await localSource("a/b.pt")).toBe("a/b.pt");
  expect(await localSource(undefined)).toBeUndefined();
});

test("a file of a repository", async () => {
  const path = (await localSource("hf://some/model/pytorch_model.bin"))!;
  expect(await readFile(path, "utf8")).toBe("older weights");
});

test("a repository: safetensors rather than older weights, with what stands beside them", async () => {
  const folder = (await localSource("hf://some/model"))!;
  for (const name of ["model-1.safetensors", "model.safetensors.index.json", "tokenizer.json"])
    expect(await readFile(join(folder, name), "utf8"), name).toBe(files[name]);
  expect(asked.some((path) => basename(path) === "README.md")).toBe(false);
});

test("what is not there is said so", async () => {
  await expect(localSource("hf://some/other")).rejects.toThrow(/hf:\/\/some\/other: .*give a local file/s);
  await expect(localSource("hf://some/model/none.pt")).rejects.toThrow(/none\.pt: .*give a local file/s);
  await expect(localSource("hf://some")).rejects.toThrow(/names no repository/);
});
