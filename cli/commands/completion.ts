// completion: a script for bash, zsh or fish, made from the command tree itself.
import { Argument, Command } from "@commander-js/extra-typings";
import { contextOf } from "./run.ts";

/** Words that may follow `berth` and each of its groups. */
function wordsByPath(program: Command): Map<string, string[]> {
  const words = new Map<string, string[]>();
  const visit = (command: Command, path: string): void => {
    const flags = command.options.map((option) => option.long).filter((flag) => flag != null);
    words.set(path, [...command.commands.map((child) => child.name()), ...flags]);
    for (const child of command.commands) visit(child as unknown as Command, `${path} ${child.name()}`.trim());
  };
  visit(program, "");
  return words;
}

function bash(words: Map<string, string[]>): string {
  const cases = [...words].map(([path, list]) => `    "${path}") words="${list.join(" ")}" ;;`);
  return `_berth() {
  local cur="\${COMP_WORDS[COMP_CWORD]}" path="" word words=""
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do [[ "$word" == -* ]] || path="\${path:+$path }$word"; done
  case "$path" in
${cases.join("\n")}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$cur"))
}
complete -F _berth berth
`;
}

function fish(words: Map<string, string[]>): string {
  const lines = [...words].flatMap(([path, list]) => {
    const seen =
      path === ""
        ? "__fish_use_subcommand"
        : path
            .split(" ")
            .map((word) => `__fish_seen_subcommand_from ${word}`)
            .join("; and ");
    return list.map(
      (word) => `complete -c berth -f -n "${seen}" ${word.startsWith("--") ? `-l ${word.slice(2)}` : `-a ${word}`}`,
    );
  });
  return `${lines.join("\n")}\n`;
}

export function completionCommand(createProgram: () => Command) {
  return new Command("completion")
    .description("print a shell's completion script")
    .addArgument(new Argument("<shell>").choices(["bash", "zsh", "fish"] as const))
    .addHelpText("after", '\n  eval "$(berth completion bash)"')
    .action((shell, _options, command) => {
      const words = wordsByPath(createProgram());
      const script =
        shell === "fish"
          ? fish(words)
          : shell === "zsh"
            ? `autoload -U +X bashcompinit && bashcompinit\n${bash(words)}`
            : bash(words);
      contextOf(command).out.result({ shell, script }, () => void process.stdout.write(script));
    });
}
