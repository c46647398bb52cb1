const RED = "\u001b[31m";
const PLAIN = "\u001b[39m";

/**
 * A failure as a stream shows it: the word before its colon in red on a terminal with colours, and plain text elsewhere, as with
 * `NO_COLOR`, which `hasColors` reads.
 */
export const highlight = (text: string, stream: Pick<NodeJS.WriteStream, "isTTY" | "hasColors">): string =>
  stream.isTTY && stream.hasColors() ? text.replace(/^\w+(?=:)/, `${RED}$&${PLAIN}`) : text;
