// What is wrong in berth.toml, in words and by the file's own keys, whichever schema found it.
import type { z } from "zod";
import { shownMs } from "./duration.ts";
import { bytes } from "./output.ts";

type Issue = z.core.$ZodIssue;
/** What a schema calls otherwise than the file: the API's own names have their unit at the end. */
const OTHERWISE: Record<string, string> = {
  durationMs: "for",
  bodyBytesMax: "max_body",
  failureThreshold: "failures",
  cpuMilli: "cpu",
  memoryBytes: "memory",
  diskBytes: "disk",
};
const TYPES: Record<string, string> = {
  int: "a whole number",
  number: "a number",
  string: "a text in quotes",
  boolean: "true or false",
  array: "a list",
  object: "a table",
  record: "a table",
};

/** One line per fault. under: the table that the issues' paths begin in; about: what else is known of an issue. */
export function tomlFaults(
  issues: readonly Issue[],
  under: readonly string[] = [],
  about: (issue: Issue) => string = () => "",
): string {
  return issues
    .flatMap((issue) => leaves(issue, under))
    .map(({ issue, path }) => `\n  ${keyOf(path)}: ${wordsOf(issue, path)}${about(issue)}`)
    .join("");
}

interface Leaf {
  readonly issue: Issue;
  readonly path: readonly PropertyKey[];
}

/** Of a value that may be several things, the faults of the one that it comes nearest to. */
function leaves(issue: Issue, above: readonly PropertyKey[]): Leaf[] {
  const path = [...above, ...issue.path];
  if (issue.code !== "invalid_union" || issue.errors.length === 0) return [{ issue, path }];
  const depth = (issues: readonly Issue[]): number => Math.max(...issues.map((inner) => inner.path.length));
  const [nearest] = [...issue.errors].sort((a, b) => depth(b) - depth(a) || a.length - b.length);
  return (nearest ?? []).flatMap((inner) => leaves(inner, path));
}

/** `strategy` is what a plan keeps its strategy's keys under; in the file they stand beside each other. */
function keyOf(path: readonly PropertyKey[]): string {
  const flat = path.filter((part, at) => !(part === "strategy" && at < path.length - 1));
  return flat.map((part) => (typeof part === "string" ? inToml(part) : String(part))).join(".") || "(top)";
}

const inToml = (name: string): string => OTHERWISE[name] ?? snake(name.replace(/Ms$/, ""));
const snake = (name: string): string => name.replace(/([a-z0-9])([A-Z])/g, "$1_$2").toLowerCase();

function wordsOf(issue: Issue, path: readonly PropertyKey[]): string {
  switch (issue.code) {
    case "too_small":
      return bound(issue.origin, "at least", "more than", issue.inclusive !== false, Number(issue.minimum), path);
    case "too_big":
      return bound(issue.origin, "at most", "less than", issue.inclusive !== false, Number(issue.maximum), path);
    case "invalid_type":
      return issue.message.endsWith("undefined") ? "is missing" : `must be ${TYPES[issue.expected] ?? issue.expected}`;
    case "invalid_value":
      return `must be ${issue.values.map((value) => JSON.stringify(value)).join(" or ")}`;
    case "unrecognized_keys":
      return `there is no key ${issue.keys.join(", ")}`;
    default:
      // Rules of several fields name them as the API does.
      return issue.message.replace(/\b[a-z]+(?:[A-Z][a-z]+)+\b/g, inToml);
  }
}

function bound(
  origin: string,
  upTo: string,
  beyond: string,
  inclusive: boolean,
  limit: number,
  path: readonly PropertyKey[],
): string {
  if (origin === "array") return `must have ${upTo} ${limit} ${limit === 1 ? "entry" : "entries"}`;
  if (origin === "string") return `must have ${upTo} ${limit} ${limit === 1 ? "character" : "characters"}`;
  return `must be ${inclusive ? upTo : beyond} ${amountText(limit, String(path.at(-1)))}`;
}

function amountText(value: number, name: string): string {
  if (name.endsWith("Ms")) return shownMs(value);
  if (/Bytes/.test(name)) return bytes(value);
  return String(name.endsWith("Milli") ? value / 1_000 : value);
}
