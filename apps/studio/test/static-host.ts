import { readFile, stat } from "node:fs/promises";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { extname, join } from "node:path";

const TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html",
  ".js": "text/javascript",
  ".mjs": "text/javascript",
  ".css": "text/css",
  ".json": "application/json",
  ".wasm": "application/wasm",
};

/** A host for static files that sends no headers of its own. */
export interface StaticHost {
  readonly url: string;
  /** Answers some requests itself, and then returns true. */
  instead: (path: string, response: ServerResponse) => boolean;
  close(): Promise<void>;
}

export async function startHost(dir: string): Promise<StaticHost> {
  const server = createServer(async (request, response) => {
    const { pathname } = new URL(request.url ?? "/", "http://host");
    if (host.instead(pathname, response)) return;
    const path = join(dir, pathname.endsWith("/") ? `${pathname}index.html` : pathname);
    const found = await stat(path).catch(() => undefined);
    if (!found?.isFile()) return void response.writeHead(404).end();
    const type = TYPES[extname(path)] ?? "application/octet-stream";
    response.writeHead(200, { "content-type": type, "content-length": found.size }).end(await readFile(path));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const host: StaticHost = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    instead: () => false,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  return host;
}
