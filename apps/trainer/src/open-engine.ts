import { chooseEngine, type Engine, type EngineName } from "@tensorar/training";

/** The engine that a command was told to use; says on stderr which it is. */
export const openEngine = (settings: { readonly engine: EngineName; readonly threads: number }): Promise<Engine> =>
  chooseEngine(settings.engine, { threads: settings.threads, note: console.error });
