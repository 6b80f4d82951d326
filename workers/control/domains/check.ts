// One look at one domain: the DNS is asked, the core judges, the state and the hostname's holder change together, the rest follows.
import { judge, nextCheckAtMs, proofIn, type DomainState } from "../../../core/domains/judge.ts";
import { domainLimits } from "../../../core/domains/limits.ts";
import { assertNever } from "../../../core/step.ts";
import { findApp } from "../../../db/queries/apps.ts";
import type { By } from "../../../db/queries/audit.ts";
import { findHold, setCustomHostname } from "../../../db/queries/domain-holds.ts";
import { findDomain, recordLook, setCertificate, type DomainRecord } from "../../../db/queries/domains.ts";
import type { ControlEnv } from "../env.ts";
import { databaseOf } from "../http/database.ts";
import { ingressZoneOf } from "../names/ingress-zone.ts";
import { certificatesOf } from "./certificates.ts";
import { DEFAULT_DOH_URL, dnsOverHttps } from "./doh.ts";
import { lookUp } from "./look-up.ts";
import { settle } from "./settle.ts";

export function stateOf(row: DomainRecord): DomainState {
  const provenAtMs = row.provenAtMs ?? row.sinceMs;
  switch (row.state) {
    case "pending":
      return { kind: "pending", sinceMs: row.sinceMs };
    case "proven":
      return { kind: "proven", provenAtMs, seenAtMs: row.seenAtMs ?? provenAtMs, missingSinceMs: row.missingSinceMs };
    case "suspended":
      return { kind: "suspended", provenAtMs, sinceMs: row.sinceMs };
    default:
      return assertNever(row.state);
  }
}

function rowOf(
  state: DomainState,
): Pick<DomainRecord, "state" | "sinceMs" | "provenAtMs" | "seenAtMs" | "missingSinceMs"> {
  const none = { provenAtMs: null, seenAtMs: null, missingSinceMs: null };
  switch (state.kind) {
    case "pending":
      return { ...none, state: "pending", sinceMs: state.sinceMs };
    case "proven":
      return { ...state, state: "proven", sinceMs: state.provenAtMs };
    case "suspended":
      return { ...none, state: "suspended", sinceMs: state.sinceMs, provenAtMs: state.provenAtMs };
    default:
      return assertNever(state);
  }
}

/** What a custom domain is to be an alias of: one name for all, or the app's own hostname. */
export async function targetOf(env: ControlEnv, { team, app }: Pick<DomainRecord, "team" | "app">): Promise<string> {
  const record = env.DOMAIN_TARGET ? null : await findApp(databaseOf(env), team, app);
  return targetAt(env, record?.hostnames ?? []);
}

/** hostnames: the app's own. */
export const targetAt = (env: ControlEnv, hostnames: readonly string[]): string =>
  env.DOMAIN_TARGET || (hostnames[0] ?? env.BASE_DOMAIN);

/** Asked to, or due. Null: it was removed meanwhile. A look that another one overtook changes nothing. */
export async function check(env: ControlEnv, before: DomainRecord, by: By): Promise<DomainRecord | null> {
  const limits = domainLimits(env.TUNING);
  const database = databaseOf(env);
  const target = await targetOf(env, before);
  const nowMs = Date.now();
  const asked = { ...before, target, delegated: ingressZoneOf(env) !== null };
  const findings = await lookUp(dnsOverHttps(env.DOH_URL ?? DEFAULT_DOH_URL), asked, nowMs);
  const now = stateOf(before);
  const next = judge(now, proofIn(findings, before.token), nowMs, limits);
  const blockedUntilMs = before.held?.restsUntilMs ?? null;
  const after = await recordLook(database, {
    ...by,
    before,
    next: rowOf(next),
    findings,
    nextCheckAtMs: nextCheckAtMs(next, null, nowMs, limits),
    blockedCheckAtMs: nextCheckAtMs(now, blockedUntilMs, nowMs, limits),
    restsUntilMs: nowMs + limits.domainRestMs,
    nowMs,
  });
  if (after === null) return findDomain(database, before.team, before.app, before.hostname);
  if (after.state !== before.state) await settleHostname(env, after.hostname);
  if (after.state !== "proven") return after;
  return refreshCertificate(env, after);
}

/** What of it fails is tried again by the sweep. */
export async function settleHostname(env: ControlEnv, hostname: string): Promise<void> {
  const hold = await findHold(databaseOf(env), hostname);
  if (hold !== null && hold.settled < hold.revision) await settle(env, hold);
}

/** The issuer being away, or refusing, leaves the domain as it is: what it last said stays, with the reason. */
async function refreshCertificate(env: ControlEnv, domain: DomainRecord): Promise<DomainRecord> {
  const certificates = certificatesOf(env);
  if (certificates === null) return domain;
  const database = databaseOf(env);
  const { hostname } = domain;
  let certificate;
  try {
    const hold = await findHold(database, hostname);
    if (hold?.state !== "held" || hold.team !== domain.team) return domain;
    const known = hold.customHostnameId === null ? null : await certificates.read(hold.customHostnameId);
    const issued = known ?? (await certificates.ensure(hostname));
    if (issued.id !== hold.customHostnameId) await setCustomHostname(database, hostname, issued.id);
    certificate = issued.certificate;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const nothing = { hostnameStatus: "unknown", status: "unknown", issuer: null, expiresAtMs: null, records: [] };
    certificate = { ...nothing, ...domain.certificate, errors: [reason.slice(0, 500)], checkedAtMs: Date.now() };
  }
  await setCertificate(database, domain, certificate);
  return { ...domain, certificate };
}
