import { mkdirSync } from "node:fs";
import { workspaces } from "../lib/workspace";
import { check, type Tally } from "./checks";
import { pack, type Tarball } from "./tarball";

/** Packs every package that is published into a new folder. */
export async function packAll(tally: Tally, destination: string): Promise<Tarball[]> {
  mkdirSync(destination);
  const tarballs: Tarball[] = [];
  for (const workspace of workspaces().filter(({ manifest }) => !manifest.private)) {
    await check(tally, `${workspace.folder}: packs`, async () => {
      tarballs.push(await pack(workspace, destination));
      return [];
    });
  }
  return tarballs;
}
