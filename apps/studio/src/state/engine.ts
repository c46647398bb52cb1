import { Engine } from "../engine/client";

let engine: Engine | undefined;

/** The worker. @throws Error before it was started */
export function theEngine(): Engine {
  if (!engine) throw new Error("nothing is loaded yet");
  return engine;
}

/** A new worker in place of the old one, whose memory can't be given back otherwise. */
export function restartEngine(): Engine {
  engine?.end();
  engine = new Engine();
  return engine;
}
