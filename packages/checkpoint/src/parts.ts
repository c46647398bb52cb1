import type { CheckpointFile } from "./checkpoint-file";

/** Name and shape of every tensor that is wanted. */
export type WantedShapes = Readonly<Record<string, readonly number[]>>;

/** Tensors of a checkpoint that stand for all that are wanted. */
export interface Part {
  /** What their names begin with in the file, keys and attributes alike: `state_dict.model.`; "" for nothing. */
  readonly prefix: string;
  /** Whether they are a moving average of the weights, by their prefix. */
  readonly averaged: boolean;
  /** Wanted name → name in the file. */
  readonly names: ReadonlyMap<string, string>;
  /** Of an average that is kept inside the module that it averages: the weights there. */
  readonly of?: Part;
}

/** How far names with one prefix are what is wanted. */
export interface Match extends Part {
  readonly missing: readonly string[];
  readonly misshapen: readonly string[];
  /** Wanted tensors that can't be read (see `CheckpointFile.unreadable`). */
  readonly unreadable: readonly string[];
}

/** What a checkpoint holds, part by part. */
export interface Parts {
  /** Those that have every wanted tensor in its shape. */
  readonly fitting: readonly Part[];
  /** The one that comes nearest. */
  readonly nearest: Match;
}

const AVERAGED = /(^|[._])(ema|swa|averaged?|shadow)([._]|$)/i;
const OPTIMIZER = /(^|\.)(optim|optimizers?|opt_state|exp_avg|momentum)/i;

/** Whether a name, or what names begin with, belongs to a moving average of weights. */
export const isAveraged = (name: string): boolean => AVERAGED.test(name);

/** Whether a name belongs to the state of an optimizer, which can have the weights' own names. */
export const isOptimizer = (name: string): boolean => OPTIMIZER.test(name);

/**
 * Where in a checkpoint the wanted tensors are. Their names say: training scripts put them under keys (`model`, `net`, in
 * tuples) and into attributes (`model.` of Lightning modules), and may keep a moving average beside.
 *
 * @param file opened with `root: ""`, so that all of it is seen
 */
export function findParts(file: CheckpointFile, wanted: WantedShapes): Parts {
  const hits = new Map<string, number>();
  for (const name of file.names) {
    if (isOptimizer(name)) continue;
    for (let at = 0; ; ) {
      if (Object.hasOwn(wanted, name.slice(at))) hits.set(name.slice(0, at), (hits.get(name.slice(0, at)) ?? 0) + 1);
      const dot = name.indexOf(".", at);
      if (dot < 0) break;
      at = dot + 1;
    }
  }
  const held = new Set(file.names);
  const count = Object.keys(wanted).length;
  const whole = [...hits]
    .filter(([, found]) => found === count)
    .map(([prefix]) => matchPrefix(file, held, wanted, prefix));
  const live = whole.filter(fits);
  const shadows = live.flatMap((part) => shadowOf(part, file, held, wanted) ?? []);
  // Of prefixes that are equally near the first in the file.
  const [best] = [...hits].reduce((most, each) => (each[1] > most[1] ? each : most), ["", 0] as const);
  return { fitting: [...live, ...shadows], nearest: matchPrefix(file, held, wanted, best) };
}

const fits = ({ missing, misshapen, unreadable }: Match) => missing.length + misshapen.length + unreadable.length === 0;

function matchPrefix(file: CheckpointFile, held: ReadonlySet<string>, wanted: WantedShapes, prefix: string): Match {
  const names = new Map(
    Object.keys(wanted).flatMap((name) => (held.has(prefix + name) ? [[name, prefix + name] as const] : [])),
  );
  const unreadable = [...names].filter(([, source]) => file.unreadable.has(source)).map(([name]) => name);
  const misshapen = [...names].flatMap(([name, source]) =>
    file.unreadable.has(source) || file.info(source).shape.join() === wanted[name]!.join() ? [] : [name],
  );
  const missing = Object.keys(wanted).filter((name) => !names.has(name));
  return { prefix, averaged: isAveraged(prefix), names, missing, misshapen, unreadable };
}

/**
 * The moving average that LitEma of latent-diffusion and taming-transformers keeps inside a module, under `model_ema.` and the
 * parameters' names without dots. It holds parameters only: of what it lacks (buffers) the live values are used, as there.
 */
function shadowOf(part: Part, file: CheckpointFile, held: ReadonlySet<string>, wanted: WantedShapes): Part | undefined {
  const SHADOW = "model_ema.";
  const squash = (name: string) => name.replaceAll(".", "");
  for (let at = 0; ; ) {
    const [outer, inner] = [part.prefix.slice(0, at), part.prefix.slice(at)];
    const sources = Object.keys(wanted).map((name) => {
      const source = `${outer}${SHADOW}${squash(inner + name)}`;
      const isThere =
        held.has(source) && !file.unreadable.has(source) && file.info(source).shape.join() === wanted[name]!.join();
      return [name, isThere ? source : undefined] as const;
    });
    const found = new Set(sources.map(([, source]) => source).filter((source) => source !== undefined));
    if (found.size > 0 && found.size === sources.filter(([, source]) => source !== undefined).length) {
      const names = new Map(sources.map(([name, source]) => [name, source ?? part.names.get(name)!]));
      return { prefix: `${outer}${SHADOW}`, averaged: true, names, of: part };
    }
    const dot = part.prefix.indexOf(".", at);
    if (dot < 0) return undefined;
    at = dot + 1;
  }
}
