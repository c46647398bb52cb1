import { type ExecFileException, execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const execute = promisify(execFile);
const TORCH_GPT = fileURLToPath(new URL("../peers/torch_gpt.py", import.meta.url));

/** What the peer measured; or that it is absent, and why. */
export type TorchPeer =
  | { readonly installed: true; readonly measured: Readonly<Record<string, number | string>> }
  | { readonly installed: false; readonly reason: string };

/**
 * Runs the same work in PyTorch on this machine: `torchPeer(["train", "--dim", "256"])`. The script, by default
 * `peers/torch_gpt.py`, prints one line of JSON; it is run by TENSORAR_PYTHON or python3, which needs
 * `pip install torch numpy`.
 *
 * @param script another one, by its path
 * @param modules what it needs besides numpy
 * @throws {Error} if PyTorch is there and the script fails: a wrong argument must not pass for an absent peer
 */
export async function torchPeer(
  args: readonly string[],
  script = TORCH_GPT,
  modules: readonly string[] = ["torch"],
): Promise<TorchPeer> {
  const python = process.env.TENSORAR_PYTHON ?? "python3";
  const missing = await whyAbsent(python, modules);
  if (missing) return absent(missing);
  const { stdout } = await execute(python, [script, ...args]);
  const line = stdout.trim().split("\n").at(-1) ?? "";
  return { installed: true, measured: JSON.parse(line) };
}

/** One number that the peer printed, or null if it is absent; the reason goes to standard error once. */
export async function torchNumber(
  args: readonly string[],
  key: string,
  script?: string,
  modules?: readonly string[],
): Promise<number | null> {
  const peer = await torchPeer(args, script, modules);
  if (!peer.installed) {
    reportOnce(`No PyTorch to compare with: ${peer.reason}`);
    return null;
  }
  const value = peer.measured[key];
  if (typeof value === "number") return value;
  throw new Error(`torchNumber: the peer printed no number "${key}"; it has ${Object.keys(peer.measured).join(", ")}`);
}

async function whyAbsent(python: string, modules: readonly string[]): Promise<string | null> {
  const needed = [...modules, "numpy"].join(", ");
  try {
    await execute(python, ["-c", `import ${modules.join(", ")}`]);
    return null;
  } catch (error) {
    const { code, stderr } = error as ExecFileException & { stderr: string };
    if (code === "ENOENT") return `${python} was not found; set TENSORAR_PYTHON to a Python with ${needed}`;
    if (!stderr.includes("ModuleNotFoundError")) throw error;
    return `${python} lacks some of ${needed}; set TENSORAR_PYTHON to a Python that has them`;
  }
}

const absent = (reason: string): TorchPeer => ({ installed: false, reason });

const reported = new Set<string>();

function reportOnce(message: string): void {
  if (!reported.has(message)) console.error(message);
  reported.add(message);
}
