/** Finds the user's line in a stack of frames of tfjs and of this package. */

const ownFolder = (() => {
  const here = import.meta.url;
  return here.slice(0, here.lastIndexOf("/") + 1).replace(/^file:\/\//, "");
})();

/** Frames of the tfjs packages, whether their source maps are applied or not, and of the helper they are compiled with. */
const TFJS = /[/\\](tfjs(-[a-z]+)*[/\\](dist|src)|tslib)[/\\]/;

/** Whether the frame belongs to tfjs, to this package or to the JavaScript engine. */
function isInternal(frame: string): boolean {
  return (
    TFJS.test(frame) || frame.includes(ownFolder) || frame.includes("node:internal") || /<anonymous>\)?$/.test(frame)
  );
}

const framesOf = (error: Error): string[] =>
  (error.stack ?? "").split("\n").filter((line) => /^\s+at /.test(line) || line.includes("@"));

/** Whether the error was thrown by tfjs or this package, and not by the traced function itself. */
export function isThrownInside(error: Error): boolean {
  const [innermost] = framesOf(error);
  return innermost !== undefined && isInternal(innermost);
}

/** `function (file:line:column)` of the innermost frame that is the user's, or an empty string when none is left. */
export function callSite(error: Error): string {
  const frame = framesOf(error).find((line) => !isInternal(line));
  return frame ? frame.trim().replace(/^at /, "") : "";
}

/** The name of the function or method that the user's frame called, such as `dataSync`, or an empty string. */
export function callee(error: Error): string {
  const frames = framesOf(error);
  const frame = frames[frames.findIndex((line) => !isInternal(line)) - 1] ?? "";
  return /^\s*(?:at )?(?:async )?(?:[\w$<>]+\.)*?(\w+)_?(?: \[as \w+\])?(?: \(|@)/.exec(frame)?.[1] ?? "";
}

/** ` (called at f (file:1:2))`, to append to a message. */
export function at(error: Error): string {
  const site = callSite(error);
  return site ? ` (called at ${site})` : "";
}

/** Runs `body` with stacks deep enough to get past the frames of tfjs. */
export function withDeepStacks<T>(body: () => T): T {
  const before = Error.stackTraceLimit;
  Error.stackTraceLimit = Math.max(before ?? 0, 60);
  try {
    return body();
  } finally {
    Error.stackTraceLimit = before;
  }
}
