import type { Random } from "./random";

/** Text as other programs write it, or damaged. */
export function mutateText(text: string, random: Random): Buffer {
  const lines = text.split("\n");
  const at = random.below(lines.length);
  switch (random.below(11)) {
    case 0:
      return Buffer.from(`\ufeff${text}`);
    case 1:
      return Buffer.from(`\ufeff${text}`, "utf16le");
    case 2:
      return Buffer.from(text.replaceAll("\n", "\r\n"));
    case 3:
      return Buffer.from(text.replaceAll("\n", "\r"));
    case 4:
      return Buffer.concat([Buffer.from(text.slice(0, at)), Buffer.of(0xe9, 0x80), Buffer.from(text.slice(at))]);
    case 5:
      return Buffer.from(lines.toSpliced(at, 1).join("\n"));
    case 6:
      return Buffer.from(
        lines.toSpliced(at, 0, random.pick(["", " ", "\0", '"', ",,,", "null", "x".repeat(100_000)])).join("\n"),
      );
    case 7:
      return Buffer.from(lines.toSpliced(at, 0, lines[random.below(lines.length)]!).join("\n"));
    case 8:
      return Buffer.from(random.pick(["", "\n", "\n\n\n", " ", "[]", "{}", "null", "0"]));
    case 9: {
      const column = random.below(lines[at]!.length + 1);
      return Buffer.from(
        lines
          .with(
            at,
            `${lines[at]!.slice(0, column)}${random.pick(['"', ",", "\t", ";", "\\", "\u0000"])}${lines[at]!.slice(column)}`,
          )
          .join("\n"),
      );
    }
    default:
      return Buffer.from(lines.toReversed().join("\n"));
  }
}
