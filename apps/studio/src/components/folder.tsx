import type { ComponentChildren } from "preact";

export function DropTarget({ children }: { readonly children: ComponentChildren }) {
  return <div class="page">{children}</div>;
}

export function FolderNote() {
  return null;
}
