import { median } from "./measure";
import { torchNumber } from "./torch-peer";

export interface Turns {
  readonly value: number;
  /** Null: PyTorch is absent. */
  readonly peer: number | null;
}

/**
 * Milliseconds of our work and of the same in PyTorch, in turns (ours, peer, ours, peer, …) on the same machine; medians
 * over the turns. `ours` measures one turn by itself; `args` make the peer's script print `ms`.
 */
export async function inTurnsWithTorch(
  ours: () => Promise<number>,
  args: readonly string[],
  {
    turns = 3,
    script,
    modules,
  }: { readonly turns?: number; readonly script?: string; readonly modules?: readonly string[] } = {},
): Promise<Turns> {
  const times: number[] = [];
  const peers: number[] = [];
  for (let turn = 0; turn < turns; turn++) {
    times.push(await ours());
    const peer = await torchNumber(args, "ms", script, modules);
    if (peer !== null) peers.push(peer);
  }
  return { value: median(times), peer: peers.length > 0 ? median(peers) : null };
}
