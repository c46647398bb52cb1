import { quote, TensorARError } from "@tensorar/core";
import { FORBIDDEN_NAMES } from "../safetensors/header";
import { Dict, List, Placeholder, StoredTensor, Tuple, type Value } from "./pickle/values";

/** Keys under which training scripts keep the weights; where nothing tells, the first that is there is taken. */
export const ROOT_KEYS: readonly string[] = ["model", "module", "state_dict", "model_state_dict", "net", "ema"];

const MAX_DEPTH = 100;
const MAX_TENSORS = 1_000_000;
/** Items of containers that are looked at again, as sharing them can multiply without end. */
const MAX_REPEATED = 2_000_000;
const MAX_NAME_LENGTH = 4096;
/** Objects beside the tensors that are remembered, to name them in messages. */
const MAX_OBJECTS = 1000;

/** All tensors of a file of torch.save by name: keys and places of nested dictionaries and lists, joined by dots. */
export interface Flattened {
  /** Placeholders stand for tensors that are not read. */
  readonly tensors: ReadonlyMap<string, StoredTensor | Placeholder>;
  /** What else is there and is not looked into: name → class; "" for the whole file. */
  readonly objects: ReadonlyMap<string, string>;
}

/** @throws TensorARError for nesting without end, and names that no tensor may have */
export function flatten(value: Value, source: string): Flattened {
  return new Walk(source).run(value);
}

class Walk {
  private readonly tensors = new Map<string, StoredTensor | Placeholder>();
  private readonly objects = new Map<string, string>();
  /** Containers that were looked into, and whether a tensor is inside: else they need not be looked into again. */
  private readonly fertile = new Map<Value, boolean>();
  private readonly path: string[] = [];
  private readonly open = new Set<Value>();
  private repeated = 0;

  constructor(private readonly source: string) {}

  run(value: Value): Flattened {
    this.visit(value);
    return { tensors: this.tensors, objects: this.objects };
  }

  private visit(value: Value): void {
    if (value instanceof StoredTensor) this.add(value);
    else if (value instanceof Placeholder) {
      if (value.isTensor) this.add(value);
      else if (this.objects.size < MAX_OBJECTS) this.objects.set(this.path.join("."), value.name);
    } else if (value instanceof Dict) this.descend(value, value.entries.size, value.entries);
    else if (value instanceof List || value instanceof Tuple)
      this.descend(value, value.items.length, value.items.entries());
  }

  private descend(container: Value, size: number, items: Iterable<readonly [Value, Value]>): void {
    const fertile = this.fertile.get(container);
    if (fertile === false || this.open.has(container)) return; // one that holds itself brings nothing new
    if (fertile) this.repeated += 1 + size;
    if (this.repeated > MAX_REPEATED || this.path.length > MAX_DEPTH)
      throw new TensorARError(
        `${this.source}: its dictionaries are nested too deep, or share their contents without end; save the weights alone`,
        { code: "limit" },
      );
    this.open.add(container);
    const before = this.tensors.size;
    for (const [key, item] of items) {
      if (typeof key !== "string" && typeof key !== "number") continue; // no name can lead there
      this.path.push(String(key));
      this.visit(item);
      this.path.pop();
    }
    this.open.delete(container);
    this.fertile.set(container, this.tensors.size > before);
  }

  private add(tensor: StoredTensor | Placeholder): void {
    const name = this.path.join(".");
    if (FORBIDDEN_NAMES.includes(name) || name.length > MAX_NAME_LENGTH)
      throw new TensorARError(`${this.source}: the name ${quote(name)} is not allowed; rename it`);
    if (this.tensors.size >= MAX_TENSORS)
      throw new TensorARError(`${this.source}: it holds more than ${MAX_TENSORS} tensors`, { code: "limit" });
    // A key with dots can spell the way to another tensor; which one is meant can't be told.
    this.tensors.set(name, this.tensors.has(name) ? new Placeholder("two tensors of one name", true) : tensor);
  }
}

/**
 * The root that is taken where none is named: the first of {@link ROOT_KEYS} that leads to a dictionary with tensors, again
 * inside of it, else the whole file ("").
 */
export function usualRoot(value: Value): string {
  const path: string[] = [];
  for (let current = value; path.length < MAX_DEPTH && current instanceof Dict; ) {
    const { entries }: Dict = current;
    const key = ROOT_KEYS.find((candidate) => holdsTensors(entries.get(candidate)));
    if (key === undefined) break;
    current = entries.get(key)!;
    path.push(key);
  }
  return path.join(".");
}

/** A dictionary with tensors, or one that wraps such a dictionary. */
function holdsTensors(value: Value | undefined, depth = 0): boolean {
  if (!(value instanceof Dict) || depth > MAX_DEPTH) return false;
  for (const item of value.entries.values()) if (item instanceof StoredTensor) return true;
  const key = ROOT_KEYS.find((candidate) => value.entries.get(candidate) instanceof Dict);
  return key !== undefined && holdsTensors(value.entries.get(key), depth + 1);
}
