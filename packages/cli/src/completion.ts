import { z } from "zod";
import { type Command, defineCommand, type Program } from "./command";
import { type Setting, settingsOf } from "./kinds";

/** Shells that there is a script for. */
export const SHELLS = ["bash", "zsh", "fish"] as const;

/** One of {@link SHELLS}. */
export type Shell = (typeof SHELLS)[number];

const schema = z.strictObject({
  shell: z.enum(SHELLS).describe("whose completion is printed"),
});

/**
 * `completion` of a program: prints a script that completes commands, flags and values. It holds all of them, so that no process
 * starts while a user types.
 *
 * @param program gives the program, of which the command is a part
 */
export const completionCommand = (program: () => Program): Command<typeof schema> =>
  defineCommand({
    name: "completion",
    description: "print a script that completes commands, flags and values in your shell",
    schema,
    argument: "shell",
    load: async () => ({
      async run({ shell }) {
        console.log(completionScript(program(), shell));
      },
    }),
  });

/** What a shell evaluates to complete a program's command lines. */
export const completionScript = (program: Program, shell: Shell): string =>
  ({ bash: bashScript, zsh: zshScript, fish: fishScript })[shell](program);

/** A flag as it is typed. */
interface Flag {
  /** Without dashes. */
  readonly name: string;
  readonly description: string;
  /** Undefined for a switch; empty where anything may follow, such as a file. */
  readonly values: readonly string[] | undefined;
}

const COMMON: readonly Flag[] = [
  { name: "config", description: "JSON file with settings", values: [] },
  { name: "help", description: "show all settings", values: undefined },
];

const flagsOf = ({ schema }: Command): Flag[] => [...settingsOf(schema).flatMap(flagsOfSetting), ...COMMON];

function flagsOfSetting({ flag: name, kind, description, usual }: Setting): Flag[] {
  if (kind.kind !== "switch") {
    const scalar = kind.kind === "list" ? kind.of : kind;
    return [{ name, description, values: scalar.kind === "choice" ? scalar.of : [] }];
  }
  const flag = { name, description, values: undefined };
  return usual === true ? [flag, { ...flag, name: `no-${name}` }] : [flag];
}

/** Values of the argument that needs no flag. */
function argumentValues({ schema, argument }: Command): readonly string[] {
  const setting = settingsOf(schema).find(({ key }) => key === argument);
  return setting ? (flagsOfSetting(setting)[0]!.values ?? []) : [];
}

const functionName = ({ name }: Program): string => `_${name.replaceAll("-", "_")}`;

const single = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;

function bashScript(program: Program): string {
  const { name, commands } = program;
  const names = [...commands.map((command) => command.name), "--help", "--version"].join(" ");
  const cases = commands.flatMap((command) => [
    ...flagsOf(command).flatMap((flag) =>
      flag.values?.length
        ? [`    ${single(`${command.name} --${flag.name}`)}) words=${single(flag.values.join(" "))} ;;`]
        : [],
    ),
    `    ${single(`${command.name} `)}*) words=${single(wordsOf(command))} ;;`,
  ]);
  return `# Completion of ${name}: put into ~/.bashrc
#   eval "$(${name} completion bash)"
${functionName(program)}() {
  local current="\${COMP_WORDS[COMP_CWORD]}" previous="\${COMP_WORDS[COMP_CWORD-1]}" words=""
  case "\${COMP_WORDS[1]} $previous" in
${cases.join("\n")}
  esac
  if [ "$COMP_CWORD" -eq 1 ]; then words=${single(names)}; fi
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o default -F ${functionName(program)} ${name}`;
}

const wordsOf = (command: Command): string =>
  [...argumentValues(command), ...flagsOf(command).map((flag) => `--${flag.name}`)].join(" ");

function zshScript(program: Program): string {
  const { name, commands } = program;
  const described = commands.map((command) => `    ${single(`${command.name}:${command.description}`)}`);
  const cases = commands.map((command) => {
    const values = argumentValues(command);
    const rest = values.length > 0 ? `*:argument:(${values.join(" ")})` : "*:file:_files";
    const specs = [...flagsOf(command).map(zshSpec), rest];
    return `    ${command.name}) _arguments ${specs.map(single).join(" ")} ;;`;
  });
  return `#compdef ${name}
# Completion of ${name}: put into ~/.zshrc, after compinit
#   eval "$(${name} completion zsh)"
${functionName(program)}() {
  local -a commands=(
${described.join("\n")}
  )
  if (( CURRENT == 2 )); then
    _describe command commands
    return
  fi
  shift words
  (( CURRENT-- ))
  case $words[1] in
${cases.join("\n")}
  esac
}
compdef ${functionName(program)} ${name}`;
}

function zshSpec({ name, description, values }: Flag): string {
  const said = `--${name}[${description.replace(/[\\[\]:]/g, "\\$&")}]`;
  if (values === undefined) return said;
  return `${said}:value:${values.length > 0 ? `(${values.join(" ")})` : "_files"}`;
}

function fishScript({ name, commands }: Program): string {
  const lines = commands.flatMap((command) => {
    const seen = fishQuoted(`__fish_seen_subcommand_from ${command.name}`);
    const values = argumentValues(command);
    return [
      `complete -c ${name} -n __fish_use_subcommand -f -a ${command.name} -d ${fishQuoted(command.description)}`,
      ...(values.length > 0 ? [`complete -c ${name} -n ${seen} -f -a ${fishQuoted(values.join(" "))}`] : []),
      ...flagsOf(command).map((flag) => `complete -c ${name} -n ${seen} -l ${flag.name}${fishValues(flag)}`),
    ];
  });
  return `# Completion of ${name}: ${name} completion fish > ~/.config/fish/completions/${name}.fish
${lines.join("\n")}`;
}

function fishValues({ description, values }: Flag): string {
  const said = ` -d ${fishQuoted(description)}`;
  if (values === undefined) return said;
  return values.length > 0 ? ` -x -a ${fishQuoted(values.join(" "))}${said}` : ` -r${said}`;
}

const fishQuoted = (text: string): string => `'${text.replace(/[\\']/g, "\\$&")}'`;
