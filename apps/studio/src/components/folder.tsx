import { signal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { chosenFiles, droppedFiles } from "../dropped-files";
import { type GivenFiles, giveFolder, leaveFolder, refused, useFolder } from "../state/folder";
import { ownFolder, problem } from "../state/state";

const isOver = signal(false);

async function give(files: Promise<GivenFiles>): Promise<void> {
  try {
    await giveFolder(await files);
  } catch (error) {
    problem.value = `the folder can't be read: ${(error as Error).message}`;
  }
}

/** The page, on which a folder can be dropped. */
export function DropTarget({ children }: { readonly children: ComponentChildren }) {
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: the button in FolderNote does the same by keyboard
    <div
      class={isOver.value ? "page dropping" : "page"}
      onDragOver={(event) => {
        event.preventDefault();
        isOver.value = true;
      }}
      onDragLeave={() => {
        isOver.value = false;
      }}
      onDrop={(event) => {
        event.preventDefault();
        isOver.value = false;
        if (event.dataTransfer) void give(droppedFiles(event.dataTransfer.items));
      }}
    >
      {children}
    </div>
  );
}

/** A model of one's own: how to give it, which it is, and why it can't be loaded. */
export function FolderNote() {
  return (
    <>
      {ownFolder.value === undefined ? <ChooseFolder /> : <LoadedFolder name={ownFolder.value.name} />}
      {refused.value && <RefusedFolder />}
    </>
  );
}

function ChooseFolder() {
  return (
    <>
      <label class="note" for="folder">
        A model of your own: drop a folder that <code>tensorar-exporter export</code> has written, or choose it.
      </label>
      <input
        id="folder"
        type="file"
        multiple
        {...{ webkitdirectory: true }}
        onChange={({ currentTarget }) => {
          const { files } = currentTarget;
          if (files && files.length > 0) void give(Promise.resolve(chosenFiles(files)));
          currentTarget.value = "";
        }}
      />
    </>
  );
}

function LoadedFolder({ name }: { readonly name: string }) {
  return (
    <p class="note">
      Your folder <strong>{name}</strong> is in use.{" "}
      <button type="button" onClick={leaveFolder}>
        Back to the page's models
      </button>
    </p>
  );
}

function RefusedFolder() {
  const { name, reason, folder } = refused.value!;
  return (
    <div class="problem" role="alert">
      <p>
        {name}: {reason}
      </p>
      {folder && (
        <button type="button" onClick={() => useFolder(folder)}>
          Try it all the same
        </button>
      )}
    </div>
  );
}
