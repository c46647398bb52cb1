import { quote, TensorARError } from "@tensorar/core";
import { Cursor } from "./cursor";
import { callGlobal, globalNamed, isCount, setItem } from "./globals";
import { nameOfCode, OP } from "./opcodes";
import { Dict, Global, kindOf, List, Placeholder, Storage, Tuple, type Value } from "./values";

export interface PickleResult {
  readonly value: Value;
  /** Position after the pickle. */
  readonly end: number;
  readonly storages: ReadonlyMap<string, Storage>;
}

/** Rough bytes of memory that values take, to count them before they are too many. */
const COST = { plain: 16, object: 128, memo: 64, item: 8, entry: 64, mark: 16 } as const;

/**
 * Interprets one pickle that begins at `begin`. It is data to describe tensors, never a program: no object of a file's
 * choice is made and no function of its choice called. Every opcode takes at least one byte and never goes back, so time
 * is proportional to the bytes.
 *
 * @param maxMemory bytes that its values may take, roughly
 * @throws PickleEndsEarly when `bytes` end before the pickle does
 * @throws TensorARError naming an opcode that is not known, and when `maxMemory` is used up
 */
export function readPickle(bytes: Uint8Array, begin: number, maxMemory: number): PickleResult {
  return new Interpreter(bytes, begin, maxMemory).run();
}

class Interpreter {
  private readonly cursor: Cursor;
  private readonly stack: Value[] = [];
  /** Heights of the stack where groups of values begin. */
  private readonly marks: number[] = [];
  private readonly memo = new Map<number, Value>();
  private readonly globals = new Map<string, Global>();
  private readonly storages = new Map<string, Storage>();
  private memory = 0;

  constructor(
    bytes: Uint8Array,
    private readonly begin: number,
    private readonly maxMemory: number,
  ) {
    this.cursor = new Cursor(bytes, begin);
  }

  run(): PickleResult {
    for (;;) {
      const at = this.cursor.at;
      const code = this.cursor.uint8();
      if (code === OP.STOP) return { value: this.pop(), end: this.cursor.at, storages: this.storages };
      const value = this.valueOf(code) ?? this.structureOf(code);
      if (value !== undefined) this.push(value.pushed);
      else if (!this.change(code)) {
        const where = `at byte ${at - this.begin} of the pickle`;
        throw new TensorARError(
          `the opcode ${nameOfCode(code)} ${where} is not one that torch.save writes; it is refused`,
        );
      }
    }
  }

  /** Opcodes that push a value of their own. */
  private valueOf(code: number): Pushed | undefined {
    return this.numberOf(code) ?? this.textOf(code) ?? this.objectOf(code);
  }

  private numberOf(code: number): Pushed | undefined {
    const { cursor } = this;
    switch (code) {
      case OP.NONE:
        return pushed(null);
      case OP.NEWTRUE:
        return pushed(true);
      case OP.NEWFALSE:
        return pushed(false);
      case OP.BININT:
        return pushed(cursor.int32());
      case OP.BININT1:
        return pushed(cursor.uint8());
      case OP.BININT2:
        return pushed(cursor.uint16());
      case OP.LONG1:
        return pushed(cursor.integer(cursor.uint8()));
      case OP.LONG4:
        return pushed(cursor.integer(cursor.uint32()));
      case OP.BINFLOAT:
        return pushed(cursor.float64());
      default:
        return undefined;
    }
  }

  /** Texts and bytes. */
  private textOf(code: number): Pushed | undefined {
    const { cursor } = this;
    switch (code) {
      case OP.SHORT_BINSTRING:
      case OP.SHORT_BINUNICODE:
        return pushed(cursor.string(cursor.uint8()));
      case OP.BINSTRING:
      case OP.BINUNICODE:
        return pushed(cursor.string(cursor.uint32()));
      case OP.BINUNICODE8:
        return pushed(cursor.string(cursor.uint64()));
      case OP.SHORT_BINBYTES:
        return pushed(cursor.take(cursor.uint8()));
      case OP.BINBYTES:
        return pushed(cursor.take(cursor.uint32()));
      case OP.BINBYTES8:
      case OP.BYTEARRAY8:
        return pushed(cursor.take(cursor.uint64()));
      default:
        return undefined;
    }
  }

  /** New objects, names of Python, and what was remembered. */
  private objectOf(code: number): Pushed | undefined {
    const { cursor } = this;
    switch (code) {
      case OP.EMPTY_LIST:
      case OP.EMPTY_SET:
        return pushed(new List());
      case OP.EMPTY_TUPLE:
        return pushed(new Tuple([]));
      case OP.EMPTY_DICT:
        return pushed(new Dict());
      case OP.GLOBAL:
        return pushed(this.global(cursor.line(), cursor.line()));
      case OP.BINGET:
        return pushed(this.remembered(cursor.uint8()));
      case OP.LONG_BINGET:
        return pushed(this.remembered(cursor.uint32()));
      default:
        return undefined;
    }
  }

  /** Opcodes that replace values of the stack by one. */
  private structureOf(code: number): Pushed | undefined {
    switch (code) {
      case OP.DUP:
        return pushed(this.top());
      case OP.TUPLE:
        return pushed(new Tuple(this.popToMark()));
      case OP.TUPLE1:
        return pushed(new Tuple(this.popMany(1)));
      case OP.TUPLE2:
        return pushed(new Tuple(this.popMany(2)));
      case OP.TUPLE3:
        return pushed(new Tuple(this.popMany(3)));
      case OP.LIST:
      case OP.FROZENSET:
        return pushed(appended(new List(), this.popToMark()));
      case OP.DICT:
        return pushed(filled(new Dict(), this.popToMark()));
      case OP.STACK_GLOBAL: {
        const [module, name] = this.popMany(2);
        if (typeof module === "string" && typeof name === "string") return pushed(this.global(module, name));
        throw new TensorARError(`the pickle asks for a name that is ${kindOf(module)} and ${kindOf(name)}, not text`);
      }
      case OP.REDUCE:
      case OP.NEWOBJ: {
        const [callee, args] = this.popMany(2);
        return pushed(callGlobal(callee!, args!, this.charge));
      }
      case OP.NEWOBJ_EX: {
        const [callee, args, keywords] = this.popMany(3);
        if (keywords instanceof Dict) return pushed(callGlobal(callee!, args!, this.charge));
        throw new TensorARError(`the pickle makes ${kindOf(callee)} with keywords that are ${kindOf(keywords)}`);
      }
      case OP.BINPERSID:
        return pushed(this.storage(this.pop()));
      default:
        return undefined;
    }
  }

  /** The others; false for an unknown one. */
  private change(code: number): boolean {
    return this.frame(code) || this.store(code) || this.fill(code);
  }

  /** Opcodes of the protocol, and of groups of values. */
  private frame(code: number): boolean {
    const { cursor } = this;
    switch (code) {
      case OP.PROTO: {
        const protocol = cursor.uint8();
        if (protocol < 2 || protocol > 5) throw new TensorARError(`pickle protocol ${protocol} is not one of 2 to 5`);
        return true;
      }
      case OP.FRAME:
        cursor.uint64(); // a hint about sizes
        return true;
      case OP.MARK:
        this.charge(COST.mark);
        this.marks.push(this.stack.length);
        return true;
      case OP.POP:
        // A group that is empty is popped as its mark.
        if (this.marks.at(-1) === this.stack.length && this.marks.length > 0) this.marks.pop();
        else this.pop();
        return true;
      case OP.POP_MARK:
        this.popToMark();
        return true;
      case OP.BUILD: {
        this.pop(); // attributes, such as a state_dict's _metadata: nothing here needs them
        this.top();
        return true;
      }
      default:
        return false;
    }
  }

  /** Opcodes that remember the value on top. */
  private store(code: number): boolean {
    const { cursor } = this;
    switch (code) {
      case OP.BINPUT:
        this.remember(cursor.uint8());
        return true;
      case OP.LONG_BINPUT:
        this.remember(cursor.uint32());
        return true;
      case OP.MEMOIZE:
        this.remember(this.memo.size);
        return true;
      default:
        return false;
    }
  }

  /** Opcodes that put values into a list, set or dictionary. */
  private fill(code: number): boolean {
    switch (code) {
      case OP.APPEND: {
        const item = this.pop();
        this.charge(COST.item);
        appended(this.top(), [item]);
        return true;
      }
      case OP.APPENDS:
      case OP.ADDITEMS: {
        const items = this.popToMark();
        this.charge(COST.item * items.length);
        appended(this.top(), items);
        return true;
      }
      case OP.SETITEM: {
        const pair = this.popMany(2);
        this.charge(COST.entry);
        filled(this.top(), pair);
        return true;
      }
      case OP.SETITEMS: {
        const pairs = this.popToMark();
        this.charge(COST.entry * (pairs.length / 2));
        filled(this.top(), pairs);
        return true;
      }
      default:
        return false;
    }
  }

  private readonly charge = (bytes: number): void => {
    this.memory += bytes;
    if (this.memory <= this.maxMemory) return;
    throw new TensorARError(
      `the values in its pickle take more than ${this.maxMemory} bytes of memory; raise limits.pickleMemory if you trust it`,
      { code: "limit" },
    );
  };

  private push(value: Value): void {
    const isObject = typeof value === "object" && value !== null;
    this.charge(isObject ? COST.object : COST.plain + (typeof value === "string" ? 2 * value.length : 0));
    this.stack.push(value);
  }

  private remember(index: number): void {
    this.charge(COST.memo);
    this.memo.set(index, this.top());
  }

  private global(module: string, name: string): Global {
    const full = `${module}.${name}`;
    const found = this.globals.get(full) ?? globalNamed(full);
    this.globals.set(full, found);
    return found;
  }

  /**
   * ("storage", type, key, device, elements) and in the old format (key, begin, elements) of a part, or None; of whole
   * modules ("module", class, …). What else lies outside of the pickle is not read.
   */
  private storage(id: Value): Value {
    const [tag, type, key, , elements, part] = id instanceof Tuple ? id.items : [];
    if (!(type instanceof Global) || (tag !== "storage" && tag !== "module"))
      throw new TensorARError("the pickle refers to an object outside that is not a storage of tensors");
    const { meaning } = type;
    if (tag === "module") return type;
    if (meaning.kind !== "storage") return new Placeholder(type.name, true);
    if (typeof key !== "string" || !isCount(elements))
      throw new TensorARError(
        `the pickle describes a storage with the key ${kindOf(key)} and ${kindOf(elements)} elements`,
      );
    const known = this.storages.get(key);
    if (known !== undefined && (known.dtype !== meaning.dtype || known.fileElements !== elements)) {
      throw new TensorARError(`storage ${quote(key)} is described twice, and differently`);
    }
    const { dtype, width } = meaning;
    const whole = known ?? new Storage(key, type.name, dtype, width, elements, 0, elements);
    this.storages.set(key, whole);
    if (!(part instanceof Tuple)) return whole;
    const [, begin, size] = part.items;
    if (!isCount(begin) || !isCount(size) || begin + size > elements) {
      throw new TensorARError(`a part of storage ${quote(key)} reaches past its ${elements} elements`);
    }
    return new Storage(key, type.name, dtype, width, elements, begin, size);
  }

  private remembered(index: number): Value {
    const value = this.memo.get(index);
    if (value === undefined) throw new TensorARError(`the pickle refers to value ${index}, which it has not stored`);
    return value;
  }

  private get floor(): number {
    return this.marks.at(-1) ?? 0;
  }

  private top(): Value {
    if (this.stack.length <= this.floor) throw new TensorARError("the pickle uses a value that is not there");
    return this.stack.at(-1)!;
  }

  private pop(): Value {
    this.top();
    return this.stack.pop()!;
  }

  private popMany(count: number): Value[] {
    if (this.stack.length - count < this.floor) throw new TensorARError("the pickle uses values that are not there");
    return this.stack.splice(this.stack.length - count);
  }

  private popToMark(): Value[] {
    const mark = this.marks.pop();
    if (mark === undefined) throw new TensorARError("the pickle ends a group that it has not begun");
    return this.stack.splice(mark);
  }
}

/** Wrapped, as null is a value. */
interface Pushed {
  readonly pushed: Value;
}
const pushed = (value: Value): Pushed => ({ pushed: value });

function appended(target: Value, items: readonly Value[]): Value {
  if (target instanceof List) for (const item of items) target.items.push(item);
  else if (!(target instanceof Placeholder)) throw new TensorARError(`the pickle appends to a ${kindOf(target)}`);
  return target;
}

function filled(target: Value, pairs: readonly Value[]): Value {
  if (pairs.length % 2 !== 0) throw new TensorARError("the pickle sets a key without a value");
  if (target instanceof Dict) for (let i = 0; i < pairs.length; i += 2) setItem(target, pairs[i]!, pairs[i + 1]!);
  else if (!(target instanceof Placeholder)) throw new TensorARError(`the pickle sets items of a ${kindOf(target)}`);
  return target;
}
