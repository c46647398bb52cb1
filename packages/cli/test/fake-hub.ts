import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

/** A hub of Hugging Face that holds the repository `some/model`. */
export interface FakeHub {
  /** Its address, as `HF_ENDPOINT` has it. */
  readonly url: string;
  /** Paths that were asked for. */
  readonly asked: readonly string[];
  close(): void;
}

/** @param files contents by path */
export async function startHub(files: Readonly<Record<string, string | Uint8Array>>): Promise<FakeHub> {
  const asked: string[] = [];
  const server = createServer((request, response) => {
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
        const found = paths.filter((path) => Object.hasOwn(files, path));
        const info = found.map((path) => ({
          type: "file",
          path,
          size: files[path]!.length,
          oid: path.padEnd(40, "0").replace(/[^a-z0-9]/g, "0"),
          lastCommit: commit,
        }));
        response.setHeader("content-type", "application/json").end(JSON.stringify(info));
      });
    } else if (file !== undefined && Object.hasOwn(files, file)) {
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
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked, close: () => server.close() };
}
