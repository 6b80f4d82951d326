// The hostnames that apps are served under: the platform's own, and the custom ones that they hold. Of all teams, for snapshots.
import { and, eq, inArray } from "drizzle-orm";
import type { AppId } from "../../contracts/ids.ts";
import type { Database } from "../connect.ts";
import { hostnames } from "../schema/apps.ts";
import { domainHolds } from "../schema/domains.ts";

/** Apps in one statement: each is a parameter of it. */
const APPS_MAX = 1_000;

export async function hostnamesOf(db: Database, apps: readonly AppId[]): Promise<Map<AppId, string[]>> {
  const found = new Map<AppId, string[]>();
  for (let at = 0; at < apps.length; at += APPS_MAX) {
    const some = apps.slice(at, at + APPS_MAX);
    const [own, held] = await db.runAll({ kind: "sweep" }, (statements) => [
      statements
        .select({ app: hostnames.appId, hostname: hostnames.hostname })
        .from(hostnames)
        .where(inArray(hostnames.appId, some)),
      statements
        .select({ app: domainHolds.appId, hostname: domainHolds.hostname })
        .from(domainHolds)
        .where(and(eq(domainHolds.state, "held"), inArray(domainHolds.appId, some))),
    ]);
    for (const { app, hostname } of [...own, ...held]) found.set(app, [...(found.get(app) ?? []), hostname]);
  }
  return found;
}
