import { quote, TensorARError } from "@tensorar/core";
import { Cursor } from "./cursor";
import { callGlobal, globalNamed, isCount, setItem } from "./globals";
import { nameOfCode, OP } from "./opcodes";
import { Dict, Global, kindOf, List, Placeholder, Storage, StoredTensor, Tuple, type Value } from "./values";

export interface PickleResult {
  readonly value: Value;
  /** Position after the pickle. */
  readonly end: number;
  readonly storages: ReadonlyMap<string, Storage>;
}

/**
 * Interprets one pickle that begins at `begin`. It is data to describe tensors, never a program: no object of a file's
 * choice is made and no function of its choice called. Every opcode takes at least one byte and never goes back, so time
 * and memory are proportional to the bytes.
 *
 * @param placeholders further global names that may stand for an inert object
 * @throws PickleEndsEarly when `bytes` end before the pickle does
 * @throws TensorARError naming any opcode or global that is not known
 */
export function readPickle(bytes: Uint8Array, begin: number, placeholders: readonly string[] = []): PickleResult {
  return new Interpreter(bytes, begin, placeholders).run();
}

class Interpreter {
  private readonly cursor: Cursor;
  private readonly stack: Value[] = [];
  /** Heights of the stack where groups of values begin. */
  private readonly marks: number[] = [];
  private readonly memo = new Map<number, Value>();
  private readonly globals = new Map<string, Global>();
  private readonly storages = new Map<string, Storage>();
  private workLeft: number;

  constructor(
    bytes: Uint8Array,
    private readonly begin: number,
    private readonly placeholders: readonly string[],
  ) {
    this.cursor = new Cursor(bytes, begin);
    this.workLeft = bytes.byteLength - begin;
  }

  run(): PickleResult {
    for (;;) {
      const at = this.cursor.at;
      const code = this.cursor.uint8();
      if (code === OP.STOP) return { value: this.pop(), end: this.cursor.at, storages: this.storages };
      const value = this.valueOf(code) ?? this.structureOf(code);
      if (value !== undefined) this.stack.push(value.pushed);
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
        const isInert = callee instanceof Global && callee.meaning.kind === "inert" && keywords instanceof Dict;
        if (isInert) return pushed(callGlobal(callee, args!, this.charge));
        throw new TensorARError(`the pickle makes a ${kindOf(callee)} with keywords; only placeholders can be`);
      }
      case OP.BINPERSID:
        return pushed(this.storage(this.pop()));
      default:
        return undefined;
    }
  }

  /** The others; false for an unknown one. */
  private change(code: number): boolean {
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
      case OP.BINPUT:
        this.memo.set(cursor.uint8(), this.top());
        return true;
      case OP.LONG_BINPUT:
        this.memo.set(cursor.uint32(), this.top());
        return true;
      case OP.MEMOIZE:
        this.memo.set(this.memo.size, this.top());
        return true;
      case OP.APPEND: {
        const item = this.pop();
        appended(this.top(), [item]);
        return true;
      }
      case OP.APPENDS:
      case OP.ADDITEMS: {
        const items = this.popToMark();
        appended(this.top(), items);
        return true;
      }
      case OP.SETITEM: {
        const pair = this.popMany(2);
        filled(this.top(), pair);
        return true;
      }
      case OP.SETITEMS: {
        const pairs = this.popToMark();
        filled(this.top(), pairs);
        return true;
      }
      case OP.BUILD: {
        this.pop(); // attributes, such as a state_dict's _metadata: nothing here needs them
        const built = this.top();
        if (built instanceof Dict || built instanceof Placeholder || built instanceof StoredTensor) return true;
        throw new TensorARError(`the pickle sets attributes of a ${kindOf(built)}`);
      }
      default:
        return false;
    }
  }

  private readonly charge = (work: number): void => {
    this.workLeft -= work;
    if (this.workLeft < 0) throw new TensorARError("the pickle copies its contents over and over; it is refused");
  };

  private global(module: string, name: string): Global {
    const full = `${module}.${name}`;
    let found = this.globals.get(full);
    if (found === undefined) {
      found = globalNamed(full, this.placeholders);
      this.globals.set(full, found);
    }
    return found;
  }

  /** ("storage", type, key, device, elements) and in the old format (key, begin, elements) of a part, or None. */
  private storage(id: Value): Storage {
    const [tag, type, key, , elements, part] = id instanceof Tuple ? id.items : [];
    const meaning = type instanceof Global ? type.meaning : undefined;
    if (tag !== "storage" || meaning?.kind !== "storage" || typeof key !== "string" || !isCount(elements)) {
      throw new TensorARError("the pickle refers to an object outside that is not a storage of tensors");
    }
    const known = this.storages.get(key);
    if (known !== undefined && (known.dtype !== meaning.dtype || known.fileElements !== elements)) {
      throw new TensorARError(`storage ${quote(key)} is described twice, and differently`);
    }
    const whole = known ?? new Storage(key, meaning.dtype, elements, 0, elements);
    this.storages.set(key, whole);
    if (!(part instanceof Tuple)) return whole;
    const [, begin, size] = part.items;
    if (!isCount(begin) || !isCount(size) || begin + size > elements) {
      throw new TensorARError(`a part of storage ${quote(key)} reaches past its ${elements} elements`);
    }
    return new Storage(key, meaning.dtype, elements, begin, size);
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
