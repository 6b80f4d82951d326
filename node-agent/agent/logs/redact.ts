// Secrets in an app's own output: the values of its variables are replaced before a line is kept, shown or reported.
import { SECRET_NAMES } from "../runtime/platform-environment.ts";
import { spansOf } from "./spans.ts";

/** Shorter ones (a port, `true`, a region) are ordinary words: replacing them would make logs unreadable and hide nothing. */
const VALUE_CHARS_MIN = 8;
/**
 * Of all values together: what is beyond would cost the agent too much memory. The shortest count first, so that one
 * long value (a bundle of certificates) costs no password its place; of the long one its lines are looked for still.
 */
const PATTERN_CHARS_MAX = 256 * 1024;

const UNSAID = "[a line whose secrets are not known any more]";

export type Redact = (line: string) => string;

/**
 * environment: what it was started with; null: it had secrets and nobody knows them any more, so nothing of it is said. Only what the
 * customer set is secret: SECRET_NAMES has the names.
 */
export function redactorOf(environment: ReadonlyMap<string, string> | null): Redact {
  if (environment === null) return () => UNSAID;
  const names = (environment.get(SECRET_NAMES) ?? "").split(",").filter((name) => environment.has(name));
  const found = new Map<string, string>();
  for (const name of names)
    for (const form of formsOf(environment.get(name) ?? ""))
      if (form.length >= VALUE_CHARS_MIN && !found.has(form)) found.set(form, name);
  if (found.size === 0) return (line) => line;
  let chars = 0;
  const kept = [...found.keys()]
    .sort((one, other) => one.length - other.length)
    .filter((form) => (chars += form.length) <= PATTERN_CHARS_MAX);
  const find = spansOf(kept);
  return (line) => {
    let told = "";
    let at = 0;
    for (const { start, end, text } of find(line)) {
      told += `${line.slice(at, start)}[${found.get(text)} redacted]`;
      at = end;
    }
    return at === 0 ? line : told + line.slice(at);
  };
}

/** As programs write a value: as it is, each of its lines, within JSON, a URL or base64, and the password of a URL. */
function formsOf(value: string): string[] {
  const password = URL.canParse(value) ? new URL(value).password : "";
  const raw = [value, ...value.split(/\r?\n/), password, decoded(password)];
  const base64 = Buffer.from(value).toString("base64");
  return raw
    .flatMap((text) => [text, JSON.stringify(text).slice(1, -1), encodeURIComponent(text.toWellFormed())])
    .concat(base64);
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
