import { quote, TensorARError } from "@tensorar/core";
import { FORBIDDEN_NAMES } from "../safetensors/header";
import { Dict, kindOf, List, StoredTensor, Tuple, type Value } from "./pickle/values";

/** Keys under which training scripts keep the weights, the first that is there wins. */
export const ROOT_KEYS: readonly string[] = ["model", "module", "state_dict", "ema"];

const MAX_DEPTH = 32;
const MAX_TENSORS = 1_000_000;
/** Values looked at; shared ones count each time, so that nested sharing cannot multiply without end. */
const MAX_VALUES = 2_000_000;
const MAX_NAME_LENGTH = 4096;

/** Tensors of a checkpoint by name. */
export interface RootedTensors {
  /** The keys that lead to them; empty for the whole file. */
  readonly root: readonly string[];
  readonly tensors: ReadonlyMap<string, StoredTensor>;
}

/**
 * The tensors below a root; names of nested dictionaries and lists are joined by dots.
 *
 * @param root keys joined by dots, "" for the whole file; undefined: the first of {@link ROOT_KEYS} that leads to a
 *   dictionary with tensors, again inside of it, else the whole file
 */
export function tensorsOf(value: Value, root: string | undefined, source: string): RootedTensors {
  const chosen = root === undefined ? chooseRoot(value) : followRoot(value, root, source);
  const tensors = new Map<string, StoredTensor>();
  collect(chosen.value, [], tensors, { values: 0 }, source);
  if (tensors.size === 0) {
    const here = chosen.path.length === 0 ? "it" : quote(chosen.path.join("."));
    throw new TensorARError(
      `${source}: ${here} holds no tensors${hint(chosen.value)}; name another by the option root`,
    );
  }
  return { root: chosen.path, tensors };
}

interface Rooted {
  readonly path: readonly string[];
  readonly value: Value;
}

function chooseRoot(value: Value): Rooted {
  const path: string[] = [];
  let current = value;
  while (path.length < MAX_DEPTH && current instanceof Dict) {
    const { entries }: Dict = current;
    const key = ROOT_KEYS.find((candidate) => holdsTensors(entries.get(candidate)));
    if (key === undefined) break;
    current = entries.get(key)!;
    path.push(key);
  }
  return { path, value: current };
}

/** A dictionary with tensors, or one that wraps such a dictionary. */
function holdsTensors(value: Value | undefined, depth = 0): boolean {
  if (!(value instanceof Dict) || depth > MAX_DEPTH) return false;
  for (const item of value.entries.values()) if (item instanceof StoredTensor) return true;
  return wraps(value, depth);
}

const wraps = ({ entries }: Dict, depth: number): boolean => {
  const key = ROOT_KEYS.find((candidate) => entries.get(candidate) instanceof Dict);
  return key !== undefined && holdsTensors(entries.get(key), depth + 1);
};

function followRoot(value: Value, root: string, source: string): Rooted {
  if (root === "") return { path: [], value };
  const whole = child(value, root);
  if (whole !== undefined) return { path: [root], value: whole };
  const path = root.split(".");
  let current = value;
  for (const key of path) {
    const next = child(current, key);
    if (next === undefined) {
      throw new TensorARError(
        `${source}: there is no root ${quote(root)}; at ${quote(key)} there is ${kindOf(current)}${hint(current)}`,
      );
    }
    current = next;
  }
  return { path, value: current };
}

function child(value: Value, key: string): Value | undefined {
  if (value instanceof Dict) return value.entries.get(key) ?? value.entries.get(Number(key));
  if (value instanceof List || value instanceof Tuple) return value.items[Number(key)];
  return undefined;
}

function hint(value: Value): string {
  if (!(value instanceof Dict)) return "";
  const keys = [...value.entries.keys()]
    .slice(0, 8)
    .map((key) => (typeof key === "object" ? kindOf(key) : String(key)));
  return ` (its keys: ${quote(keys.join(", "))})`;
}

function collect(
  value: Value,
  path: readonly string[],
  found: Map<string, StoredTensor>,
  seen: { values: number },
  source: string,
): void {
  if (++seen.values > MAX_VALUES || path.length > MAX_DEPTH) {
    throw new TensorARError(`${source}: its dictionaries are nested too deep, or without end; name a root inside`);
  }
  if (value instanceof StoredTensor) {
    addTensor(found, path, value, source);
  } else if (value instanceof Dict) {
    for (const [key, item] of value.entries) {
      if (typeof key === "string" || typeof key === "number")
        collect(item, [...path, String(key)], found, seen, source);
      else if (item instanceof StoredTensor) {
        throw new TensorARError(
          `${source}: a tensor is under a key that is ${kindOf(key)}, not text; name a root elsewhere`,
        );
      }
    }
  } else if (value instanceof List || value instanceof Tuple) {
    value.items.forEach((item, i) => {
      collect(item, [...path, String(i)], found, seen, source);
    });
  }
}

function addTensor(
  found: Map<string, StoredTensor>,
  path: readonly string[],
  tensor: StoredTensor,
  source: string,
): void {
  const name = path.join(".");
  if (FORBIDDEN_NAMES.includes(name) || name.length > MAX_NAME_LENGTH) {
    throw new TensorARError(`${source}: the name ${quote(name)} is not allowed; rename it`);
  }
  if (found.has(name)) throw new TensorARError(`${source}: two tensors are named ${quote(name)}; rename one`);
  if (found.size >= MAX_TENSORS) throw new TensorARError(`${source}: it holds more than ${MAX_TENSORS} tensors`);
  found.set(name, tensor);
}
