// One order of a certificate (RFC 8555) by DNS-01. The key is made here and goes nowhere.
import type { Logger } from "pino";
import { pause } from "../link/pause.ts";

export interface Account {
  readonly directoryUrl: string;
  /** PEM. */
  readonly key: string;
  /** Null before the server knows it. */
  readonly url: string | null;
}

export interface OrderWish {
  readonly name: string;
  readonly account: Account;
  readonly email: string | null;
  readonly settleMs: number;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  readonly log: Logger;
  /** Has the TXT record set; null: removed. */
  readonly challenge: (value: string | null) => Promise<void>;
  /** The account, once the server knows it: another one at each try would run into its limits. */
  readonly keep: (account: Account) => Promise<void>;
}

/** retryAfterMs: where the server said so. clock: it was this host's wall clock that made the server's own certificate look wrong. */
export class AcmeFailed extends Error {
  readonly retryAfterMs: number | null;
  readonly clock: boolean;
  constructor(message: string, retryAfterMs: number | null, clock: boolean) {
    super(message);
    this.name = "AcmeFailed";
    this.retryAfterMs = retryAfterMs;
    this.clock = clock;
  }
}

/** A server that says when to come back is believed up to here: a day. */
const RETRY_AFTER_MS_MAX = 86_400_000;
const CLOCK_CODES: ReadonlySet<unknown> = new Set(["CERT_NOT_YET_VALID", "CERT_HAS_EXPIRED"]);

/** Loaded where a certificate is ordered and nowhere else: most starts need none. */
const loadClient = () => import("acme-client").then((module) => module.default ?? module);
type Acme = Awaited<ReturnType<typeof loadClient>>;
let loading: Promise<Acme> | null = null;
/** Of the last answer that was an error: the client throws its words without them. */
let lastProblem: { readonly type: string; readonly retryAfterMs: number | null } = { type: "", retryAfterMs: null };

function client(): Promise<Acme> {
  loading ??= loadClient().then((acme) => {
    const { defaults, interceptors } = acme.axios;
    defaults.timeout = 30_000;
    // The client's own way with errors repeats what we want to put off, and loses why a server could not be reached. All
    // answers come as errors; those that its callers judge by themselves (validateStatus: null) go back to them.
    interceptors.response.clear();
    interceptors.response.use(null, (error: Failing) => {
      const { response, config } = error;
      if (response === undefined) throw error;
      if (response.status >= 400) lastProblem = problemOf(response);
      const judge = config?.retryValidateStatus;
      if (judge && !judge(response.status)) throw error;
      return response;
    });
    return acme;
  });
  return loading;
}

interface Failing extends Error {
  readonly response?: Response;
  readonly config?: { readonly retryValidateStatus?: ((status: number) => boolean) | null };
}
interface Response {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly data?: { readonly type?: unknown } | null;
}

function problemOf({ headers, data }: Response): typeof lastProblem {
  return { type: String(data?.type), retryAfterMs: retryAfterMsOf(String(headers["retry-after"] ?? "")) };
}

export async function makeAccountKey(): Promise<string> {
  return (await (await client()).crypto.createPrivateEcdsaKey()).toString();
}

/** Throws AcmeFailed. */
export async function order(wish: OrderWish): Promise<{ cert: string; key: string }> {
  const ending = new AbortController();
  const timer = setTimeout(() => ending.abort(), wish.timeoutMs);
  const until = AbortSignal.any([ending.signal, wish.signal]);
  const ended = new Promise<never>((_, reject) => {
    until.addEventListener("abort", () => reject(new Error(`no certificate within ${wish.timeoutMs / 1_000} s`)));
  });
  lastProblem = { type: "", retryAfterMs: null };
  try {
    return await Promise.race([carryOut(wish, until), ended]);
  } catch (error) {
    // A server that was set up anew knows nobody: the next try introduces itself.
    if (lastProblem.type.endsWith(":accountDoesNotExist")) await wish.keep({ ...wish.account, url: null });
    throw failureOf(error);
  } finally {
    clearTimeout(timer);
  }
}

async function carryOut(wish: OrderWish, until: AbortSignal): Promise<{ cert: string; key: string }> {
  const { name, account, email, settleMs, log, challenge, keep } = wish;
  const acme = await client();
  const { directoryUrl, key: accountKey, url } = account;
  const patience = { backoffAttempts: 60, backoffMin: 500, backoffMax: 5_000 };
  const server = new acme.Client({
    directoryUrl,
    accountKey,
    ...(url === null ? {} : { accountUrl: url }),
    ...patience,
  });
  const key = await acme.crypto.createPrivateEcdsaKey();
  const [, csr] = await acme.crypto.createCsr({ altNames: [name] }, key);
  if (url === null) {
    const contact = email === null ? {} : { contact: [`mailto:${email}`] };
    await server.createAccount({ termsOfServiceAgreed: true, ...contact });
    await keep({ ...account, url: server.getAccountUrl() });
  }
  log.info({ name, directoryUrl }, "a certificate is ordered");
  const cert = await server.auto({
    csr,
    termsOfServiceAgreed: true,
    challengePriority: ["dns-01"],
    // It would ask this host's own resolver, which may know nothing of the outside.
    skipChallengeVerification: true,
    challengeCreateFn: async (_authorization, { type }, value) => {
      if (type !== "dns-01") throw new Error(`the ACME server offers ${type} and no dns-01 for ${name}`);
      await challenge(value);
      await pause(settleMs, until);
    },
    challengeRemoveFn: () => challenge(null),
  });
  return { cert, key: key.toString() };
}

function failureOf(error: unknown): AcmeFailed {
  const { code, message } = error as { code?: unknown; message?: string };
  const words = (message ?? String(error)).slice(0, 300);
  if (CLOCK_CODES.has(code))
    return new AcmeFailed(`the ACME server's own certificate is refused (${words})`, null, true);
  return new AcmeFailed(words || String(code), lastProblem.retryAfterMs, false);
}

/** Seconds, or a date (RFC 9110). */
function retryAfterMsOf(text: string): number | null {
  const ms = /^\d+$/.test(text) ? Number(text) * 1_000 : Date.parse(text) - Date.now();
  return Number.isFinite(ms) && ms > 0 ? Math.min(ms, RETRY_AFTER_MS_MAX) : null;
}
