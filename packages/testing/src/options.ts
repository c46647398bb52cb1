import { expect, test } from "vitest";

/** A call that succeeds with `options`, and whose options are a record. */
export interface OptionsCall<O extends object> {
  readonly options: O;
  readonly call: (options: O) => unknown;
}

/** Keeps the type of the options between the two. */
export const optionsCall = <O extends object>(options: O, call: (options: O) => unknown): OptionsCall<object> =>
  ({ options, call }) as unknown as OptionsCall<object>;

/**
 * Tests functions with options that are absent, empty, or lack one of their fields: each call is right or refused in a line, and
 * never ends as an error of the language. Those without options at all are refused where they need any.
 */
export function testOptions(calls: Readonly<Record<string, OptionsCall<object>>>): void {
  test.each(Object.entries(calls))("%s says what its options lack", async (_, { options, call }) => {
    expect(await errorOf(call, options)).toBeUndefined();
    const without = Object.keys(options).flatMap((key) => {
      const { [key]: _left, ...rest } = options as Record<string, unknown>;
      return [rest, { ...rest, [key]: undefined }, { ...rest, [key]: null }];
    });
    for (const given of [undefined, null, {}, ...without]) {
      const error = await errorOf(call, given as object);
      if (error !== undefined) expect(error, JSON.stringify(given)).toMatchObject({ name: "TensorARError" });
    }
  });
}

async function errorOf(call: (options: object) => unknown, options: object): Promise<unknown> {
  try {
    const result = await call(options);
    if (typeof (result as AsyncIterator<unknown> | undefined)?.next === "function")
      for await (const _ of result as AsyncIterable<unknown>);
    return undefined;
  } catch (error) {
    return error;
  }
}
