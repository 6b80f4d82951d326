// Fetches what a user named: judged by the core, looked up over HTTPS before, redirects followed only through the same guard. ADR 28.
import { readExceptions } from "../../../core/outbound/exceptions.ts";
import {
  judgeAddresses,
  judgeUrl,
  type OutboundRule,
  type OutboundRules,
  type Target,
} from "../../../core/outbound/judge.ts";
import { DEFAULT_DOH_URL, dnsOverHttps } from "../domains/doh.ts";
import { readOnce } from "../../read-once.ts";
import type { ControlEnv } from "../env.ts";

type Env = Pick<ControlEnv, "OUTBOUND_ALLOW" | "DOH_URL">;

export interface GuardedInit {
  readonly method?: "GET" | "HEAD" | "POST";
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** Of the whole: look-ups, redirects and the answer's body. */
  readonly timeoutMs: number;
  /** Without TLS too, to any public address. */
  readonly plainHttp?: boolean;
}

/** As many as providers of identities and registries need. */
const REDIRECTS_MAX = 3;
const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);

/** The guard's word: for the one who named the URL, as the message of a field. */
export class OutboundRefused extends Error {
  override readonly name = "OutboundRefused";
  readonly rule: OutboundRule | "redirects" | "dns" | "too_long";
  constructor(rule: OutboundRefused["rule"], message: string) {
    super(message);
    this.rule = rule;
  }
}

/** Before a URL is stored: what of it can be said without asking anybody. Throws OutboundRefused. */
export function checkUrl(env: Env, url: string, plainHttp = false): Target {
  const said = judgeUrl(url, { exceptions: exceptionsOf(env), plainHttp });
  if (said.kind === "refused") throw new OutboundRefused(said.rule, said.message);
  return said;
}

/**
 * Throws OutboundRefused, or what fetch throws. Only GET and HEAD are redirected: whoever posts is to name the last URL. No credential goes
 * to another origin. Read the answer with `boundedText`.
 */
export async function guardedFetch(env: Env, url: string, init: GuardedInit): Promise<Response> {
  const { method = "GET", body, timeoutMs, plainHttp = false } = init;
  const rules: OutboundRules = { exceptions: exceptionsOf(env), plainHttp };
  const signal = AbortSignal.timeout(timeoutMs);
  let target = checkUrl(env, url, plainHttp);
  let headers = init.headers ?? {};
  for (let redirects = 0; ; redirects += 1) {
    await admit(env, target, rules);
    const answer = await fetch(target.url, { method, headers, body, redirect: "manual", signal });
    const location = REDIRECTS.has(answer.status) ? answer.headers.get("location") : null;
    if (location === null) return answer;
    await answer.body?.cancel();
    if (method === "POST") throw new OutboundRefused("redirects", "answered with a redirect: name the last URL itself");
    if (redirects === REDIRECTS_MAX) {
      throw new OutboundRefused("redirects", `redirects more than ${REDIRECTS_MAX} times`);
    }
    const next = judgeUrl(location, rules, target.url);
    if (next.kind === "refused") throw new OutboundRefused(next.rule, `redirects to what ${next.message}`);
    if (next.url.origin !== target.url.origin) headers = withoutCredentials(headers);
    target = next;
  }
}

/** A Worker cannot say which address is dialled: a name that answers otherwise a moment later is the platform's to stop (ADR 28). */
async function admit(env: Env, target: Target, rules: OutboundRules): Promise<void> {
  if (!target.resolve) return;
  const dns = dnsOverHttps(env.DOH_URL ?? DEFAULT_DOH_URL);
  const answers = await Promise.all([dns.ask(target.host, "A"), dns.ask(target.host, "AAAA")]);
  const failed = answers.find((answer) => answer.kind === "failed");
  // Without one half of the answer nothing is known of it, and the dialler might take just that one.
  if (failed?.kind === "failed") throw new OutboundRefused("dns", `${target.host}: ${failed.message}`);
  const addresses = answers.flatMap((answer) => (answer.kind === "answered" ? answer.records : []));
  const refusal = judgeAddresses(target, addresses, rules);
  if (refusal !== null) throw new OutboundRefused(refusal.rule, refusal.message);
}

const CREDENTIALS: ReadonlySet<string> = new Set(["authorization", "cookie", "proxy-authorization"]);
const withoutCredentials = (headers: Readonly<Record<string, string>>): Record<string, string> =>
  Object.fromEntries(Object.entries(headers).filter(([name]) => !CREDENTIALS.has(name.toLowerCase())));

/** The body as text; throws where it is longer than that: a stranger's answer is not to fill our memory. */
export async function boundedText(answer: Response, bytesMax: number): Promise<string> {
  const decoder = new TextDecoder();
  let bytes = 0;
  let text = "";
  for await (const chunk of answer.body ?? []) {
    bytes += chunk.byteLength;
    if (bytes > bytesMax) throw new OutboundRefused("too_long", `answered with more than ${bytesMax} bytes`);
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}

const exceptionsIn = readOnce(readExceptions);

/** A setting that cannot be read opens nothing, and stops what rests on it. */
export function exceptionsOf({ OUTBOUND_ALLOW = "" }: Pick<ControlEnv, "OUTBOUND_ALLOW">): OutboundRules["exceptions"] {
  const read = exceptionsIn(OUTBOUND_ALLOW);
  if (read.kind === "refused") throw new Error(`OUTBOUND_ALLOW: ${read.message}`);
  return read.exceptions;
}
