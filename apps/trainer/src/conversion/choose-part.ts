import {
  type CheckpointFile,
  contentsOf,
  findParts,
  type Match,
  type Part,
  type WantedShapes,
} from "@tensorar/checkpoint";
import { TensorARError } from "@tensorar/core";
import type { WeightsKind } from "./families";

export interface Wanted {
  readonly shapes: WantedShapes;
  /** What it should be, for messages: `GPT-B of llamagen`. */
  readonly what: string;
  /** The original's own choice where there is a moving average of the weights too. */
  readonly usual: WeightsKind;
  /** The user's choice: `ema`, `model` (the weights themselves), or a key. */
  readonly weights?: string | undefined;
}

export interface Chosen {
  readonly part: Part;
  /** What was taken, where it was not plain; one line. */
  readonly note?: string;
}

const LISTED = 4;

/**
 * The one part of a checkpoint that has all wanted tensors.
 * @param file opened as a whole
 * @throws TensorARError saying what is there, and how the nearest part differs, or which parts there are to choose from
 */
export function choosePart(file: CheckpointFile, wanted: Wanted): Chosen {
  const { shapes, usual, weights } = wanted;
  const { fitting, nearest } = findParts(file, shapes);
  if (fitting.length === 0) throw unlike(file, wanted, nearest);
  const asked = weights === undefined ? fitting : fitting.filter((part) => isAsked(part, weights));
  if (asked.length === 0)
    throw new TensorARError(
      `${file.path}: no ${wanted.what} is there as --weights ${weights}; found: ${listed(fitting)}`,
      {
        code: "missing",
      },
    );
  const preferred = asked.filter(({ averaged }) => averaged === (usual === "ema"));
  const candidates = preferred.length > 0 ? preferred : asked;
  const [part] = candidates as [Part];
  if (candidates.length > 1)
    throw new TensorARError(
      `${file.path}: ${candidates.length} parts hold all of ${wanted.what}: ${listed(candidates)}; choose one with --weights KEY or --root KEY.PATH`,
    );
  const note = noteOf(file, part, fitting, weights === undefined);
  return { part, ...(note !== undefined && { note }) };
}

function isAsked({ prefix, averaged }: Part, weights: string): boolean {
  if (weights === "ema" || weights === "model") return averaged === (weights === "ema");
  return `.${prefix}`.includes(`.${weights.replace(/\.$/, "")}.`);
}

const kindOf = ({ averaged }: Part) => (averaged ? "the moving average" : "the weights");
const placeOf = ({ prefix }: Part) => (prefix === "" ? "at the top" : `under "${prefix.slice(0, -1)}"`);
const listed = (parts: readonly Part[]) => parts.map((part) => `${kindOf(part)} ${placeOf(part)}`).join(", ");

function noteOf(file: CheckpointFile, part: Part, fitting: readonly Part[], isDefault: boolean): string | undefined {
  const taken = `${file.path}: took ${kindOf(part)} ${placeOf(part)}`;
  const others = fitting.filter((each) => each !== part);
  if (others.length === 0) return part.prefix === "" ? undefined : taken;
  const why = isDefault ? ", as the original does" : "";
  const flags = others.map((other) =>
    other.averaged === part.averaged ? other.prefix.slice(0, -1) : other.averaged ? "ema" : "model",
  );
  return `${taken}${why}; also there: ${listed(others)} (--weights ${[...new Set(flags)].join(" or ")})`;
}

/** How the nearest part differs. */
function unlike(file: CheckpointFile, { shapes, what }: Wanted, nearest: Match): TensorARError {
  const { prefix, names, missing, misshapen, unreadable } = nearest;
  const wanted = new Set(Object.keys(shapes));
  const own = file.names.filter((name) => name.startsWith(prefix));
  const shapeOf = (name: string) => (file.unreadable.has(name) ? file.unreadable.get(name) : file.info(name).shape);
  const problems = {
    missing: missing.map((name) => `"${name}" [${shapes[name]}]`),
    unexpected: own.flatMap((name) =>
      wanted.has(name.slice(prefix.length)) ? [] : [`"${name.slice(prefix.length)}" [${shapeOf(name)}]`],
    ),
    "of another shape": misshapen.map((name) => `"${name}" [${shapeOf(names.get(name)!)}], not [${shapes[name]}]`),
    "of a type that is not read": unreadable.map((name) => `"${name}" (${shapeOf(names.get(name)!)})`),
  };
  const lines = Object.entries(problems).flatMap(([problem, list]) =>
    list.length === 0
      ? []
      : [`  ${list.length} ${problem}: ${list.slice(0, LISTED).join(", ")}${list.length > LISTED ? ", …" : ""}`],
  );
  const where = prefix === "" ? "" : `; nearest ${placeOf(nearest)}`;
  return new TensorARError(
    `${file.path} is not ${what}${where}:\n${lines.join("\n")}\nit holds ${contentsOf(file)}\n` +
      "name the model that it holds, or the part with --root KEY.PATH and --strip-prefix PREFIX",
    { code: unreadable.length > 0 ? "unsupported" : "invalid" },
  );
}
