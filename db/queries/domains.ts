// Custom domains of a team's apps: added, looked at, removed. Who of all teams has a hostname is decided with its hold.
import { and, asc, eq, gt, isNull, lte, sql } from "drizzle-orm";
import type { DomainCertificate, Findings } from "../../contracts/domains.ts";
import type { Result } from "../../contracts/failures.ts";
import type { AppId, TeamId } from "../../contracts/ids.ts";
import type { Database, Statements, Transaction } from "../connect.ts";
import { refusalIn, violatedConstraint } from "../errors.ts";
import { mintId } from "../ids.ts";
import { apps } from "../schema/apps.ts";
import { domainHolds, domains } from "../schema/domains.ts";
import { insertAudit, type By } from "./audit.ts";
import { restHolds, takeHold } from "./domain-holds.ts";
import { lockTeam, type QuotaPolicy } from "./quota-sql.ts";
import { quotaRefusalIn, spendFirst } from "./quotas.ts";
import { decodeCursor, pageOf, type Page, type PageRequest } from "./page.ts";

/** `state` and its times are core/domains' DomainState, column by column; `held` is the hold of whichever team has it. */
export interface DomainRecord {
  readonly id: string;
  readonly team: TeamId;
  readonly app: AppId;
  readonly hostname: string;
  readonly token: string;
  readonly state: "pending" | "proven" | "suspended";
  readonly sinceMs: number;
  readonly provenAtMs: number | null;
  readonly seenAtMs: number | null;
  readonly missingSinceMs: number | null;
  readonly findings: Findings | null;
  readonly certificate: DomainCertificate | null;
  readonly checkedAtMs: number | null;
  readonly checks: number;
  readonly nextCheckAtMs: number | null;
  readonly createdAtMs: number;
  readonly held: {
    readonly team: TeamId;
    readonly state: "held" | "resting";
    readonly restsUntilMs: number | null;
  } | null;
}

const columns = {
  id: domains.id,
  team: domains.teamId,
  app: domains.appId,
  hostname: domains.hostname,
  token: domains.token,
  state: domains.state,
  sinceMs: domains.sinceMs,
  provenAtMs: domains.provenAtMs,
  seenAtMs: domains.seenAtMs,
  missingSinceMs: domains.missingSinceMs,
  findings: domains.findings,
  certificate: domains.certificate,
  checkedAtMs: domains.checkedAtMs,
  checks: domains.checks,
  nextCheckAtMs: domains.nextCheckAtMs,
  createdAtMs: domains.createdAtMs,
  held: { team: domainHolds.teamId, state: domainHolds.state, restsUntilMs: domainHolds.restsUntilMs },
};
const select = (statements: Statements | Transaction) =>
  statements.select(columns).from(domains).leftJoin(domainHolds, eq(domainHolds.hostname, domains.hostname));

export interface AddDomain extends By {
  readonly team: TeamId;
  readonly app: AppId;
  readonly hostname: string;
  readonly token: string;
  readonly domainsMax: number;
  readonly nowMs: number;
  /** Absent: of the team's domains as many as one likes. */
  readonly quota?: QuotaPolicy;
}

/**
 * The app's own domain again answers what is there. name_taken: another app of the team has it. gone: the app was destroyed. Throws
 * OutOfQuota.
 */
export async function addDomain(
  db: Database,
  input: AddDomain,
): Promise<Result<{ domain: DomainRecord; added: boolean }>> {
  const present = await presentDomain(db, input);
  if (present !== null) return present;
  try {
    const results = await db.runAll({ kind: "domain", team: input.team }, (statements) =>
      addStatements(statements, input),
    );
    const [domain] = results.at(-1) as DomainRecord[];
    if (domain === undefined) throw new Error(`the domain ${input.hostname} was not stored`);
    return { ok: true, value: { domain, added: true } };
  } catch (error) {
    const another = violatedConstraint(error) === "domains_hostname" ? await presentDomain(db, input) : null;
    if (another !== null) return another;
    const reason = refusalIn(error)?.reason;
    if (reason === "gone") return refusal("gone", "the app was destroyed");
    if (reason === "domains_max")
      return refusal("conflict", `the app has ${input.domainsMax} domains already, which is the most it may have`);
    throw quotaRefusalIn(error) ?? error;
  }
}

async function presentDomain(db: Database, { team, app, hostname }: AddDomain) {
  const [present] = await db.run({ kind: "domain", team }, (statements) =>
    select(statements).where(and(eq(domains.teamId, team), eq(domains.hostname, hostname))),
  );
  if (present === undefined) return null;
  if (present.app === app) return { ok: true, value: { domain: present, added: false } } as const;
  return refusal("name_taken", `${hostname} is a domain of another app of this team: remove it there first`);
}

function addStatements(statements: Statements, input: AddDomain) {
  const { team, app, hostname, token, nowMs, quota, actor } = input;
  const live = and(eq(apps.teamId, team), eq(apps.id, app), isNull(apps.destroyedAtMs));
  const own = and(eq(domains.teamId, team), eq(domains.appId, app));
  const id = mintId<string>("dom");
  const row = { id, teamId: team, appId: app, hostname, token, state: "pending", sinceMs: nowMs } as const;
  return [
    // Before any row's: whoever grants an app more has this lock, and then wants the app's row.
    statements.execute(lockTeam(team)),
    ...(quota ? [spendFirst(statements, { team, policy: quota, asked: { domains: 1 } })] : []),
    // Held against destroyApp, which takes the domains of the apps that it ends.
    statements.select({ id: apps.id }).from(apps).where(live).for("update"),
    statements.execute(sql`select berth_refuse('gone', null) where not exists (select from ${apps} where ${live})`),
    statements.execute(sql`select berth_refuse('domains_max', null)
      where (select count(*) from ${domains} where ${own}) >= ${input.domainsMax}`),
    statements.insert(domains).values({ ...row, nextCheckAtMs: nowMs, createdBy: actor, createdAtMs: nowMs }),
    insertAudit(statements, { ...input, action: "domain.add", subject: hostname, data: { app } }),
    select(statements).where(eq(domains.id, id)),
  ] as const;
}

const refusal = (code: "gone" | "name_taken" | "conflict", message: string) =>
  ({ ok: false, failure: { code, message } }) as const;

export interface DomainLook extends By {
  /** As it was read before the look. */
  readonly before: DomainRecord;
  readonly next: Pick<DomainRecord, "state" | "sinceMs" | "provenAtMs" | "seenAtMs" | "missingSinceMs">;
  readonly findings: Findings;
  readonly nextCheckAtMs: number | null;
  /** When the sweep looks again at one whose hostname another team has. */
  readonly blockedCheckAtMs: number | null;
  readonly restsUntilMs: number;
  readonly nowMs: number;
}

/** Thrown, so that the transaction is undone. */
class Overtaken extends Error {}

/**
 * One transaction: takes or gives back the hostname with the state, and stores what was seen. A hostname that another team has leaves
 * the state as it was. Null: it was removed, or another look was stored since `before` was read; then nothing is changed.
 */
export async function recordLook(db: Database, look: DomainLook): Promise<DomainRecord | null> {
  try {
    return await db.transaction({ kind: "domain", team: look.before.team }, (tx) => recordWithin(tx, look));
  } catch (error) {
    if (error instanceof Overtaken) return null;
    throw error;
  }
}

async function recordWithin(tx: Transaction, look: DomainLook): Promise<DomainRecord> {
  const { before, next, nowMs } = look;
  const { id, team, app, hostname, checks } = before;
  const proving = next.state === "proven" && before.state !== "proven";
  const blocked = proving && !(await takeHold(tx, { hostname, team, app, nowMs }));
  if (next.state === "suspended" && before.state === "proven")
    await restHolds(tx, { team, app, hostname, restsUntilMs: look.restsUntilMs });
  const { state, sinceMs, provenAtMs, seenAtMs, missingSinceMs } = blocked ? before : next;
  const stored = await tx
    .update(domains)
    .set({
      ...{ state, sinceMs, provenAtMs, seenAtMs, missingSinceMs },
      findings: look.findings,
      checkedAtMs: nowMs,
      checks: checks + 1,
      nextCheckAtMs: blocked ? look.blockedCheckAtMs : look.nextCheckAtMs,
    })
    .where(and(eq(domains.id, id), eq(domains.checks, checks)))
    .returning({ id: domains.id });
  if (stored.length === 0) throw new Overtaken();
  if (state !== before.state)
    await insertAudit(tx, {
      actor: look.actor,
      team,
      action: `domain.${state}`,
      subject: hostname,
      data: { app },
      ...requested(look),
    });
  const [domain] = await select(tx).where(eq(domains.id, id));
  if (domain === undefined) throw new Overtaken();
  return domain;
}

const requested = ({ requestId }: By) => (requestId === undefined ? {} : { requestId });

export async function setCertificate(
  db: Database,
  domain: DomainRecord,
  certificate: DomainCertificate,
): Promise<void> {
  await db.run({ kind: "domain", team: domain.team }, (statements) =>
    statements.update(domains).set({ certificate }).where(eq(domains.id, domain.id)),
  );
}

/** Null: the app has no such domain, whoever else may have it. */
export async function findDomain(
  db: Database,
  team: TeamId,
  app: AppId,
  hostname: string,
): Promise<DomainRecord | null> {
  const own = and(eq(domains.teamId, team), eq(domains.appId, app), eq(domains.hostname, hostname));
  const [domain] = await db.run({ kind: "domain", team }, (statements) => select(statements).where(own));
  return domain ?? null;
}

/** By hostname. */
export async function listDomains(
  db: Database,
  { team, app }: { team: TeamId; app: AppId },
  page: PageRequest,
): Promise<Result<Page<DomainRecord>>> {
  const cursor = decodeCursor(page.cursor, (key) => /^[a-z0-9.*-]{1,253}$/.test(key));
  if (!cursor.ok) return cursor;
  const after = cursor.value === null ? undefined : gt(domains.hostname, cursor.value);
  const rows = await db.run({ kind: "domain", team }, (statements) =>
    select(statements)
      .where(and(eq(domains.teamId, team), eq(domains.appId, app), after))
      .orderBy(asc(domains.hostname))
      .limit(page.limit + 1),
  );
  return { ok: true, value: pageOf(rows, page.limit, (row) => row.hostname, (row) => row) }; // prettier-ignore
}

/** The hostname rests for other teams from now on. False: the app has no such domain. */
export function removeDomain(
  db: Database,
  input: By & { team: TeamId; app: AppId; hostname: string; restsUntilMs: number },
): Promise<boolean> {
  const { team, app, hostname } = input;
  return db.transaction({ kind: "domain", team }, async (tx) => {
    const own = and(eq(domains.teamId, team), eq(domains.appId, app), eq(domains.hostname, hostname));
    const removed = await tx.delete(domains).where(own).returning({ id: domains.id });
    const outcome = removed.length > 0 ? "ok" : "not_found";
    await insertAudit(tx, { ...input, action: "domain.remove", subject: hostname, outcome, data: { app } });
    if (removed.length === 0) return false;
    await restHolds(tx, input);
    return true;
  });
}

/** Those whose next look is due, the longest due first. */
export async function dueDomains(db: Database, nowMs: number, limit: number): Promise<DomainRecord[]> {
  return db.run({ kind: "sweep" }, (statements) =>
    select(statements).where(lte(domains.nextCheckAtMs, nowMs)).orderBy(asc(domains.nextCheckAtMs)).limit(limit),
  );
}

/** Of an app that is destroyed, in the transaction of that: its domains are gone, their hostnames rest. */
export function deleteDomainsOf(statements: Statements | Transaction, team: TeamId, app: AppId) {
  return statements.delete(domains).where(and(eq(domains.teamId, team), eq(domains.appId, app)));
}
