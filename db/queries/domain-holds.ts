// Which team holds a hostname, over all teams (invariant 19), and what of that the Host objects have not acknowledged yet.
import { and, eq, lt, lte, or, sql } from "drizzle-orm";
import type { AppId, TeamId } from "../../contracts/ids.ts";
import type { Database, Statements, Transaction } from "../connect.ts";
import { domainHolds } from "../schema/domains.ts";

export interface DomainHold {
  readonly hostname: string;
  readonly team: TeamId;
  readonly app: AppId;
  readonly state: "held" | "resting";
  readonly restsUntilMs: number | null;
  readonly revision: number;
  readonly settled: number;
  readonly customHostnameId: string | null;
}

export const holdColumns = {
  hostname: domainHolds.hostname,
  team: domainHolds.teamId,
  app: domainHolds.appId,
  state: domainHolds.state,
  restsUntilMs: domainHolds.restsUntilMs,
  revision: domainHolds.revision,
  settled: domainHolds.settled,
  customHostnameId: domainHolds.customHostnameId,
};

/** Scope `domain`. False: another team holds it, or it rests for other teams still. */
export async function takeHold(
  tx: Transaction,
  { hostname, team, app, nowMs }: { hostname: string; team: TeamId; app: AppId; nowMs: number },
): Promise<boolean> {
  const free = or(eq(domainHolds.teamId, team), lte(domainHolds.restsUntilMs, nowMs));
  const taken = await tx
    .insert(domainHolds)
    .values({ hostname, teamId: team, appId: app, state: "held", revision: 1 })
    .onConflictDoUpdate({
      target: domainHolds.hostname,
      set: {
        teamId: team,
        appId: app,
        state: "held",
        restsUntilMs: null,
        revision: sql`${domainHolds.revision} + 1`,
      },
      setWhere: and(eq(domainHolds.state, "resting"), free),
    })
    .returning({ hostname: domainHolds.hostname });
  return taken.length > 0;
}

/** What a team gives up rests for the others. `which`: one hostname, or all of an app's. */
export function restHolds(
  statements: Statements | Transaction,
  { team, app, hostname, restsUntilMs }: { team: TeamId; app: AppId; hostname?: string; restsUntilMs: number },
) {
  const own = and(eq(domainHolds.teamId, team), eq(domainHolds.appId, app), eq(domainHolds.state, "held"));
  return statements
    .update(domainHolds)
    .set({ state: "resting", restsUntilMs, revision: sql`${domainHolds.revision} + 1` })
    .where(and(own, hostname === undefined ? undefined : eq(domainHolds.hostname, hostname)));
}

export async function findHold(db: Database, hostname: string): Promise<DomainHold | null> {
  const [hold] = await db.run({ kind: "sweep" }, (statements) =>
    statements.select(holdColumns).from(domainHolds).where(eq(domainHolds.hostname, hostname)),
  );
  return hold ?? null;
}

/** Changed since their Host objects last acknowledged them. */
export async function unsettledHolds(db: Database, limit: number): Promise<DomainHold[]> {
  return db.run({ kind: "sweep" }, (statements) =>
    statements.select(holdColumns).from(domainHolds).where(lt(domainHolds.settled, domainHolds.revision)).limit(limit),
  );
}

/** The Host object, and the certificates' issuer, know this revision. */
export async function settledHold(db: Database, { hostname, revision }: DomainHold): Promise<void> {
  await db.run({ kind: "sweep" }, (statements) =>
    statements
      .update(domainHolds)
      .set({ settled: revision })
      .where(and(eq(domainHolds.hostname, hostname), lt(domainHolds.settled, revision))),
  );
}

export async function setCustomHostname(db: Database, hostname: string, id: string | null): Promise<void> {
  await db.run({ kind: "sweep" }, (statements) =>
    statements.update(domainHolds).set({ customHostnameId: id }).where(eq(domainHolds.hostname, hostname)),
  );
}
