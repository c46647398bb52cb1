/** Codes of the pickle protocols 2 to 5, by their names in CPython's pickletools. */
export const OP = {
  ...{ PROTO: 0x80, FRAME: 0x95, STOP: 0x2e, MARK: 0x28, POP: 0x30, POP_MARK: 0x31, DUP: 0x32 },
  ...{ NONE: 0x4e, NEWTRUE: 0x88, NEWFALSE: 0x89 },
  ...{ BININT: 0x4a, BININT1: 0x4b, BININT2: 0x4d, LONG1: 0x8a, LONG4: 0x8b, BINFLOAT: 0x47 },
  ...{ BINSTRING: 0x54, SHORT_BINSTRING: 0x55, BINUNICODE: 0x58, SHORT_BINUNICODE: 0x8c, BINUNICODE8: 0x8d },
  ...{ BINBYTES: 0x42, SHORT_BINBYTES: 0x43, BINBYTES8: 0x8e, BYTEARRAY8: 0x96 },
  ...{ EMPTY_LIST: 0x5d, LIST: 0x6c, APPEND: 0x61, APPENDS: 0x65 },
  ...{ EMPTY_SET: 0x8f, ADDITEMS: 0x90, FROZENSET: 0x91 },
  ...{ EMPTY_TUPLE: 0x29, TUPLE: 0x74, TUPLE1: 0x85, TUPLE2: 0x86, TUPLE3: 0x87 },
  ...{ EMPTY_DICT: 0x7d, DICT: 0x64, SETITEM: 0x73, SETITEMS: 0x75 },
  ...{ GLOBAL: 0x63, STACK_GLOBAL: 0x93, REDUCE: 0x52, BUILD: 0x62, NEWOBJ: 0x81, NEWOBJ_EX: 0x92 },
  ...{ BINPERSID: 0x51, BINGET: 0x68, LONG_BINGET: 0x6a, BINPUT: 0x71, LONG_BINPUT: 0x72, MEMOIZE: 0x94 },
} as const;

/** Codes that exist but that torch.save does not write; they are refused by name. */
const REFUSED: Readonly<Record<number, string>> = {
  ...{ 73: "INT", 76: "LONG", 70: "FLOAT", 83: "STRING", 86: "UNICODE", 112: "PUT", 103: "GET" },
  ...{ 105: "INST", 111: "OBJ", 80: "PERSID", 130: "EXT1", 131: "EXT2", 132: "EXT4" },
  ...{ 151: "NEXT_BUFFER", 152: "READONLY_BUFFER" },
};

export const nameOfCode = (code: number): string => REFUSED[code] ?? `0x${code.toString(16).padStart(2, "0")}`;
