// `berth …` in a document: whether there is such a command, and whether it has the options that stand behind it.
import type { Command } from "@commander-js/extra-typings";

/** In the order of the text, as they stand there. */
export function unknownCommands(text: string, program: Command): string[] {
  return linesOf(text).filter((line) => !isKnown(line.split(/\s+/).slice(1), program));
}

/** Spans of code, and lines of blocks with whatever stands before the command (a prompt, variables, sudo). */
function linesOf(text: string): string[] {
  const blocks = text.replace(/^```\w*\n([\s\S]*?)^```/gm, (_, block: string) => block.replaceAll(/^/gm, "    "));
  const found: { at: number; line: string }[] = [];
  const take = (pattern: RegExp) => {
    for (const match of blocks.matchAll(pattern))
      found.push({ at: match.index, line: match[1]!.replace(/ +#.*$/, "") });
  };
  take(/`(?:[A-Z_]+=\S+ )*((?:npx )?berth(?: [^`\n]*)?)`/g);
  take(/^ {4,}(?:\$ )?(?:[A-Z_]+=\S+ )*((?:npx )?berth [^\n]*)$/gm);
  return found.toSorted((a, b) => a.at - b.at).map(({ line }) => line.replace(/^npx /, ""));
}

function isKnown(words: readonly string[], program: Command): boolean {
  let command = program;
  let at = 0;
  for (; at < words.length; at += 1) {
    const next = childOf(command, words[at]!);
    if (next === undefined) break;
    command = next;
  }
  const rest = words.slice(at);
  // What the launcher writes into its log begins so.
  if (rest[0]?.endsWith(":")) return true;
  // What takes no arguments of its own has to be told which of its commands is meant; `…` leaves that open.
  const isGroup = command.commands.length > 0 && command.registeredArguments.length === 0;
  if (isGroup && /^[a-z]/.test(rest[0] ?? "")) return false;
  const options = new Set(known(command).flatMap((one) => one.options.map(({ long }) => long)));
  const named = rest.flatMap((word) => /^\[?(--[a-z][a-z0-9-]*)/.exec(word)?.[1] ?? []);
  return named.every((name) => name === "--help" || options.has(name));
}

const childOf = (command: Command, word: string): Command | undefined =>
  command.commands.find((child) => child.name() === word || child.aliases().includes(word)) as Command | undefined;

/** It, those above it, and all below it: a document may leave a command's own commands open. */
function known(command: Command): Command[] {
  const above: Command[] = [];
  for (let one: Command | null = command; one !== null; one = one.parent as Command | null) above.push(one);
  const below = (one: Command): Command[] =>
    one.commands.flatMap((child) => [child as Command, ...below(child as Command)]);
  return [...above, ...below(command)];
}
