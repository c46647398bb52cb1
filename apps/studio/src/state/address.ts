import { effect } from "@preact/signals";
import { fromFragment, toFragment } from "../settings";
import { settings } from "./state";

/** Keeps the page's address and the setting the same. */
export function followAddress(): void {
  effect(() => {
    const fragment = `#${toFragment(settings.value)}`;
    if (fragment !== location.hash) history.replaceState(null, "", fragment);
  });
  addEventListener("hashchange", () => {
    settings.value = fromFragment(location.hash);
  });
}
