import { join } from "node:path";
import { expect, test } from "vitest";
import { temporaryFolder, writeAt } from "../../../packages/data/test/data-helpers";
import { runCli } from "./run-cli";

const root = temporaryFolder();
let files = 0;
const write = (contents: Uint8Array | string) => writeAt(join(root, `text-${files++}`), contents);

test("a file of settings may have a byte order mark, and is refused by line and byte in another encoding", async () => {
  const marked = write('\ufeff{"size": 0, "output": "x"}');
  expect((await runCli(["data", "--config", marked])).output).toMatch(/"size" = 0/);
  const other = write(Buffer.from('{"output":\n"caf\xe9"}', "latin1"));
  const { status, output } = await runCli(["data", "--config", other]);
  expect(status).toBe(1);
  expect(output).toContain(`${other}: line 2, byte 15 of the file (0xe9): not UTF-8`);
});
