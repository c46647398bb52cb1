import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { basename, dirname } from "node:path";
import type { Tarball } from "./tarball";

/** An npm registry of these tarballs, for as long as `use` takes; gets its address. */
export async function withRegistry<T>(tarballs: readonly Tarball[], use: (url: string) => Promise<T>): Promise<T> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    const url = `http://127.0.0.1:${(server.address() as { port: number }).port}`;
    serve(server, url, tarballs);
    return await use(url);
  } finally {
    server.close();
    server.closeAllConnections();
  }
}

function serve(server: Server, url: string, tarballs: readonly Tarball[]): void {
  const answers = new Map<string, Buffer>();
  for (const { path } of tarballs) {
    const contents = readFileSync(path);
    const manifest = packedManifest(path);
    const integrity = `sha512-${createHash("sha512").update(contents).digest("base64")}`;
    const version = { ...manifest, dist: { tarball: `${url}/${basename(path)}`, integrity } };
    const document = {
      name: manifest.name,
      "dist-tags": { latest: manifest.version },
      versions: { [manifest.version]: version },
    };
    answers.set(`/${manifest.name}`, Buffer.from(JSON.stringify(document)));
    answers.set(`/${basename(path)}`, contents);
  }
  server.on("request", (request, response) => {
    const answer = answers.get(decodeURIComponent(request.url ?? ""));
    response.writeHead(answer ? 200 : 404).end(answer);
  });
}

function packedManifest(path: string): { readonly name: string; readonly version: string } {
  const options = { cwd: dirname(path), encoding: "utf8" } as const;
  return JSON.parse(execFileSync("tar", ["-xzOf", basename(path), "package/package.json"], options));
}
