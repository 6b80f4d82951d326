// What has to change in the filter table so that this node's rules are in it, and come first.
import type { Chains, RuleNames } from "./rules.ts";
import type { Table } from "./tables.ts";

/** The Engine's chain for rules that come before its own; it leaves what is in it alone. */
const ENGINE_USER_CHAIN = "DOCKER-USER";
/** Of any agent's: those of several on one host stand side by side. */
const OURS = /-j BERTH-\S+$/;

const PARTS = ["from", "to", "host", "refuse"] as const;

interface Jump {
  readonly chain: string;
  readonly rule: string;
}

/** The Engine's chain where packets come through it before anything else, else FORWARD itself. */
function forwardHook(table: Table): string {
  if (!table.has(ENGINE_USER_CHAIN)) return "FORWARD";
  const first = (table.get("FORWARD") ?? []).find((rule) => !OURS.test(rule));
  return first === `-j ${ENGINE_USER_CHAIN}` ? ENGINE_USER_CHAIN : "FORWARD";
}

function jumpsOf(names: RuleNames, hook: string): Jump[] {
  return [
    { chain: "INPUT", rule: `-i ${names.bridges} -j ${names.host}` },
    { chain: hook, rule: `-i ${names.bridges} -j ${names.from}` },
    { chain: hook, rule: `-o ${names.bridges} -j ${names.to}` },
  ];
}

/** Bridges of networks from before they had names of this node's: each has jumps of its own. */
function foreignJumps(names: RuleNames, hook: string, foreign: readonly string[]): Jump[] {
  return foreign.flatMap((bridge) => jumpsOf({ ...names, bridges: bridge }, hook));
}

const isOwnJump = (names: RuleNames) => (rule: string) =>
  [names.from, names.to, names.host].some((chain) => rule.endsWith(`-j ${chain}`));

/** Whether every jump is there, once, and nothing but agents' jumps before it. */
export function areJumpsRight(table: Table, names: RuleNames, foreign: readonly string[]): boolean {
  const hook = forwardHook(table);
  const wanted = [...jumpsOf(names, hook), ...foreignJumps(names, hook, foreign)];
  for (const [chain, rules] of table) {
    const own = rules.filter(isOwnJump(names));
    const due = wanted.filter((jump) => jump.chain === chain).map(({ rule }) => rule);
    if (own.length !== due.length || !due.every((rule) => own.includes(rule))) return false;
    const others = rules.findIndex((rule) => !OURS.test(rule));
    if (others !== -1 && due.some((rule) => rules.indexOf(rule) > others)) return false;
  }
  return wanted.every(({ chain }) => table.has(chain));
}

/** For iptables-restore: the chains anew, and the jumps to them at the top, wherever they were before. */
export function restoreLines(table: Table, names: RuleNames, chains: Chains, foreign: readonly string[]): string[] {
  const hook = forwardHook(table);
  const rules = PARTS.flatMap((part) => chains[part].map((rule) => `-A ${names[part]} ${rule}`));
  const jumps = [...foreignJumps(names, hook, foreign), ...jumpsOf(names, hook)];
  return [
    ...PARTS.map((part) => `:${names[part]} - [0:0]`),
    ...staleJumps(table, names),
    ...rules,
    ...jumps.map(({ chain, rule }) => `-I ${chain} 1 ${rule}`),
  ];
}

/** For iptables-restore: nothing of it is left. */
export function removalLines(table: Table, names: RuleNames): string[] {
  const chains = PARTS.map((part) => names[part]).filter((chain) => table.has(chain));
  return [
    ...staleJumps(table, names),
    ...chains.map((chain) => `-F ${chain}`),
    ...chains.map((chain) => `-X ${chain}`),
  ];
}

function staleJumps(table: Table, names: RuleNames): string[] {
  return [...table].flatMap(([chain, rules]) => rules.filter(isOwnJump(names)).map((rule) => `-D ${chain} ${rule}`));
}

/** What is in this node's chains, to be compared with what was in them when they were written. */
export const inChains = (table: Table, names: RuleNames): string =>
  JSON.stringify(PARTS.map((part) => table.get(names[part]) ?? null));
