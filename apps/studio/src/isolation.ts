/** Set while the page reloads to become isolated, so that it does so once. */
const RELOADED = "tensorar-studio-reloaded";

/** Why WebAssembly has one thread; undefined where it has several. */
export type SingleThreadReason = string | undefined;

/**
 * Installs the service worker, and reloads the page once under it where the host does not isolate it.
 * @returns why the page is not isolated all the same; never, while it reloads
 */
export async function isolate(): Promise<SingleThreadReason> {
  const reason = await installWorker();
  if (crossOriginIsolated) {
    sessionStorage.removeItem(RELOADED);
    return undefined;
  }
  if (reason !== undefined) return reason;
  if (sessionStorage.getItem(RELOADED) !== null) return "this browser does not isolate the page";
  sessionStorage.setItem(RELOADED, "yes");
  location.reload();
  return new Promise(() => {});
}

/** @returns why there is none */
async function installWorker(): Promise<SingleThreadReason> {
  if (!("serviceWorker" in navigator)) return "this browser has no service workers here, which isolate the page";
  if (import.meta.env.DEV) return "the development server sends no such headers";
  try {
    const { active } = await navigator.serviceWorker.register("sw.js");
    if (!active) await controlled();
    return undefined;
  } catch (cause) {
    return `the service worker can't be installed (${(cause as Error).message})`;
  }
}

/** When the worker serves this page's requests; at most 10 seconds. */
async function controlled(): Promise<void> {
  const { serviceWorker } = navigator;
  if (serviceWorker.controller) return;
  await new Promise<void>((resolve, reject) => {
    serviceWorker.addEventListener("controllerchange", () => resolve(), { once: true });
    setTimeout(() => reject(new Error("it does not start")), 10_000);
  });
}
