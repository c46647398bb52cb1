import { type ChildProcess, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { format } from "node:util";
import { describeFailure, endProgress, type Program, runCommand } from "@tensorar/cli";

const root = fileURLToPath(new URL("../../..", import.meta.url));

/** What a command line printed, and its exit code. */
export interface CliResult {
  /** null after a kill. */
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
  /** Both, in their order. */
  readonly output: string;
}

/** When to send a signal. */
export interface Kill {
  /** Once the output matches, or this holds. */
  readonly when: RegExp | (() => boolean);
  /** So much later; default 0. */
  readonly afterMs?: number;
  readonly signal: NodeJS.Signals;
}

/** The ways to run a command line from its sources. */
export interface CommandLine {
  /** Within this process. Those that are asked for at a time run one after another. */
  run(args: readonly string[]): Promise<CliResult>;
  /** In a process of its own: seconds more, for what only a process shows, such as signals. */
  spawn(args: readonly string[], kill?: Kill): Promise<CliResult>;
}

/**
 * @param program its declaration
 * @param file URL of the module that runs it when it is started
 */
export const commandLine = (program: Program, file: URL): CommandLine => {
  let last: Promise<unknown> = Promise.resolve();
  return {
    run(args) {
      const result = last.then(() => runHere(program, args));
      last = result;
      return result;
    },
    spawn: (args, kill) => runProcess(fileURLToPath(file), args, kill),
  };
};

/** The streams of a command line, which are kept as texts. */
function recorder() {
  const texts = { stdout: "", stderr: "", output: "" };
  return {
    texts,
    add(stream: "stdout" | "stderr", text: string): void {
      texts[stream] += text;
      texts.output += text;
    },
  };
}

async function runHere(program: Program, args: readonly string[]): Promise<CliResult> {
  const { texts, add } = recorder();
  const { log, error, warn } = console;
  console.log = (...values: unknown[]) => add("stdout", `${format(...values)}\n`);
  console.error = (...values: unknown[]) => add("stderr", `${format(...values)}\n`);
  console.warn = console.error;
  try {
    await runCommand(program, args, new AbortController().signal);
    return { status: 0, ...texts };
  } catch (cause) {
    const { text, exitCode } = describeFailure(cause, program);
    endProgress();
    console.error(text);
    return { status: exitCode, ...texts };
  } finally {
    Object.assign(console, { log, error, warn });
  }
}

function runProcess(file: string, args: readonly string[], kill?: Kill): Promise<CliResult> {
  return new Promise((resolve, reject) => {
    const node = ["--import", "tsx", "--conditions=@tensorar/source", file, ...args];
    const child = spawn(process.execPath, node, { cwd: root });
    const { texts, add } = recorder();
    for (const stream of ["stdout", "stderr"] as const)
      child[stream].on("data", (chunk: Buffer) => add(stream, chunk.toString()));
    const stopWaiting = kill && killWhen(kill, child, () => texts.output);
    child.on("error", reject);
    child.on("close", (status) => {
      stopWaiting?.();
      resolve({ status, ...texts });
    });
  });
}

/** Looks often whether it is time; returns how to stop looking. */
function killWhen({ when, afterMs = 0, signal }: Kill, child: ChildProcess, output: () => string): () => void {
  let timer: NodeJS.Timeout | undefined;
  const poll = setInterval(() => {
    if (!(typeof when === "function" ? when() : when.test(output()))) return;
    clearInterval(poll);
    timer = setTimeout(() => child.kill(signal), afterMs);
  }, 2);
  return () => {
    clearInterval(poll);
    clearTimeout(timer);
  };
}
