import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly private?: boolean;
  readonly author?: string;
  readonly homepage?: string;
  readonly bugs?: { readonly url: string };
  readonly keywords?: readonly string[];
  readonly repository?: { readonly type: string; readonly url: string; readonly directory?: string };
  readonly bin?: Readonly<Record<string, string>>;
  readonly exports?: Readonly<Record<string, unknown>>;
  readonly sideEffects?: boolean | readonly string[];
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
  readonly publishConfig?: { readonly os?: readonly string[] };
  readonly peerDependencies?: Readonly<Record<string, string>>;
}

export interface Workspace {
  /** From the root of the repository, e.g. `packages/noise`. */
  readonly folder: string;
  /** The same, absolute. */
  readonly path: string;
  readonly manifest: Manifest;
}

export const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

const { repository } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as Manifest;
/** Where the repository is on the web, as the root's package.json says. */
export const repositoryUrl = repository?.url.replace(/^git\+|\.git$/g, "") ?? "";

/** Whether a package is made of sources; others only carry files, such as weights. */
export const hasSources = ({ path }: Pick<Workspace, "path">): boolean => existsSync(join(path, "src"));

/** All packages and apps of this repository, by folder name. */
export function workspaces(): Workspace[] {
  return ["packages", "apps"].flatMap((parent) =>
    readdirSync(join(root, parent))
      .sort()
      .map((name) => ({ folder: `${parent}/${name}`, path: join(root, parent, name) }))
      .filter(({ path }) => existsSync(join(path, "package.json")))
      .map((place) => ({ ...place, manifest: JSON.parse(readFileSync(join(place.path, "package.json"), "utf8")) })),
  );
}
