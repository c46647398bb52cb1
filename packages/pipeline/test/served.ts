import { readFile, stat } from "node:fs/promises";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { onTestFinished } from "vitest";

/** Serves a folder; what `instead` answers itself, it returns true for. @returns its URL, without a slash at its end */
export async function served(
  dir: string,
  instead: (file: string, response: ServerResponse) => boolean = () => false,
): Promise<string> {
  const server = createServer(async (request, response) => {
    const file = (request.url ?? "/").slice(1);
    if (instead(file, response)) return;
    const path = join(dir, file);
    const found = await stat(path).catch(() => undefined);
    if (!found?.isFile()) return void response.writeHead(404).end();
    response.writeHead(200, { "content-length": found.size }).end(await readFile(path));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}
