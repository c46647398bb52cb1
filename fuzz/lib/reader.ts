/** A reader of the product. A new one is one more entry in `readers/index.ts`. */
export interface Reader {
  readonly name: string;
  /** Writes small valid inputs, each a file or a folder in `dir`, by the product's own writers. */
  seeds(dir: string): Promise<void>;
  /**
   * Opens an input as a command would, and reads all of it.
   * @param path of a copy of a seed that was changed; its name is the seed's
   * @throws TensorARError where it refuses the input, and {@link WrongResult} where it took it and gives nonsense
   */
  read(path: string): Promise<void>;
}

/** What a reader gave contradicts itself. */
export class WrongResult extends Error {
  override readonly name = "WrongResult";
}

/** @throws WrongResult where `holds` is false */
export function expectRight(holds: boolean, what: string): asserts holds {
  if (!holds) throw new WrongResult(what);
}
