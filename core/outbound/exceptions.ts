// What an operator opens although it is not the internet: a registry in the rack, the loopback of a local stack.
import { innermost, readAddress, readRange, within, type Range } from "./addresses.ts";

/** One way that is open. port: null for all. A name opens whatever it resolves to: it is the operator's own. */
export type Exception =
  | { readonly kind: "range"; readonly range: Range; readonly port: number | null }
  | { readonly kind: "name"; readonly name: string; readonly port: number | null };

export type ReadExceptions =
  | { readonly kind: "exceptions"; readonly exceptions: readonly Exception[] }
  | { readonly kind: "refused"; readonly message: string };

const FORM = "NAME[:PORT], ADDRESS[/BITS] or, with a port, [ADDRESS[/BITS]]:PORT";
/** More is no list of exceptions, but a network that wants none of this. */
const EXCEPTIONS_MAX = 64;

/** Names, addresses and ranges, with commas between. */
export function readExceptions(text: string): ReadExceptions {
  const parts = text
    .split(",")
    .map((part) => part.trim().toLowerCase())
    .filter((part) => part !== "");
  if (parts.length > EXCEPTIONS_MAX) return { kind: "refused", message: `more than ${EXCEPTIONS_MAX} exceptions` };
  const exceptions: Exception[] = [];
  for (const part of parts) {
    const exception = readOne(part);
    if (exception === null) return { kind: "refused", message: `${part} is not ${FORM}` };
    exceptions.push(exception);
  }
  return { kind: "exceptions", exceptions };
}

const PARTS = /^(?:\[([^\]]+)\]|([^[\]]+?))(?::(\d{1,5}))?$/;
const NAME = /^(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$/;

function readOne(text: string): Exception | null {
  const whole = readRange(text);
  if (whole !== null) return { kind: "range", range: whole, port: null };
  const parts = PARTS.exec(text);
  const place = parts?.[1] ?? parts?.[2];
  if (place === undefined) return null;
  const port = parts?.[3] === undefined ? null : Number(parts[3]);
  if (port === 0 || (port ?? 1) > 65_535) return null;
  const range = readRange(place);
  if (range !== null) return { kind: "range", range, port };
  return NAME.test(place) ? { kind: "name", name: place, port } : null;
}

export function isOpenName(exceptions: readonly Exception[], name: string, port: number): boolean {
  return exceptions.some((open) => open.kind === "name" && open.name === name && isPort(open, port));
}

/** An IPv4 range opens the same addresses in IPv6's notations too. */
export function isOpenAddress(exceptions: readonly Exception[], address: string, port: number): boolean {
  const read = readAddress(address);
  if (read === null) return false;
  return exceptions.some(
    (open) =>
      open.kind === "range" && isPort(open, port) && (within(read, open.range) || within(innermost(read), open.range)),
  );
}

const isPort = (open: Exception, port: number): boolean => open.port === null || open.port === port;
