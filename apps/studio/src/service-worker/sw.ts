/**
 * Makes the page cross-origin isolated on hosts that send no headers, which threads of WebAssembly need, and keeps its files, so
 * that it opens offline after the first visit.
 */
declare const self: ServiceWorkerGlobalScope;
/** Written by vite.config.ts. */
declare const __FILES__: {
  readonly version: string;
  /** What the page needs to open. */
  readonly shell: readonly string[];
  /** All files that there are. */
  readonly all: readonly string[];
};

const FILES = __FILES__;
const SHELL = `shell-${FILES.version}`;
/** Files whose names hold a hash of what is in them. */
const KEPT = "files";
const isKept = ({ pathname }: URL): boolean => /\/assets\/|\/models\/[^/]+-[0-9a-f]{12}\//.test(pathname);

self.addEventListener("install", (event) => {
  event.waitUntil(
    caches
      .open(SHELL)
      .then((cache) => cache.addAll(FILES.shell.map((file) => new Request(file, { cache: "reload" }))))
      .then(() => self.skipWaiting()),
  );
});

self.addEventListener("activate", (event) => {
  event.waitUntil(dropOld().then(() => self.clients.claim()));
});

/** Removes what earlier versions kept and this one does not have. */
async function dropOld(): Promise<void> {
  for (const name of await caches.keys()) if (name.startsWith("shell-") && name !== SHELL) await caches.delete(name);
  const there = new Set(FILES.all.map((file) => new URL(file, self.registration.scope).href));
  const kept = await caches.open(KEPT);
  for (const request of await kept.keys()) if (!there.has(request.url)) await kept.delete(request);
}

self.addEventListener("fetch", (event) => {
  const { request } = event;
  const url = new URL(request.url);
  if (request.method !== "GET" || url.origin !== self.location.origin) return;
  event.respondWith((isKept(url) ? fromCacheFirst(event) : fromNetworkFirst(request)).then(isolated));
});

async function fromCacheFirst(event: FetchEvent): Promise<Response> {
  const found = await caches.match(event.request, { ignoreVary: true });
  if (found) return found;
  const response = await fetch(event.request);
  // What breaks off is not kept: put() then rejects. A full disk only costs the copy.
  if (response.status === 200)
    event.waitUntil(
      keep(KEPT, event.request, response.clone()).catch((cause: Error) =>
        console.warn(`${event.request.url} is not kept: ${cause.message}`),
      ),
    );
  return response;
}

const keep = async (name: string, request: Request, response: Response): Promise<void> =>
  (await caches.open(name)).put(request, response);

/** Names without a hash: the newest, and offline what was kept. */
async function fromNetworkFirst(request: Request): Promise<Response> {
  try {
    const response = await fetch(request);
    if (response.status === 200) await keep(SHELL, withoutSearch(request), response.clone());
    return response;
  } catch (cause) {
    const found = await caches.match(request, { ignoreSearch: true, ignoreVary: true });
    if (found) return found;
    throw cause;
  }
}

const withoutSearch = ({ url }: Request): Request => new Request(url.replace(/[?#].*$/, ""));

function isolated(response: Response): Response {
  if (response.type === "opaque" || response.type === "error" || response.status === 0) return response;
  const headers = new Headers(response.headers);
  headers.set("Cross-Origin-Opener-Policy", "same-origin");
  headers.set("Cross-Origin-Embedder-Policy", "require-corp");
  headers.set("Cross-Origin-Resource-Policy", "same-origin");
  const { status, statusText } = response;
  const empty = status === 204 || status === 304;
  return new Response(empty ? null : response.body, { status, statusText, headers });
}

export {};
