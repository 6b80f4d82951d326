// What the cron sweep does for custom domains: looks that are due, and hostnames whose holder changed without everybody hearing of it.
import { domainLimits } from "../../../core/domains/limits.ts";
import { unsettledHolds } from "../../../db/queries/domain-holds.ts";
import { dueDomains } from "../../../db/queries/domains.ts";
import type { ControlEnv } from "../env.ts";
import { inBatches } from "../http/ask.ts";
import { databaseOf } from "../http/database.ts";
import { check } from "./check.ts";
import { settle } from "./settle.ts";

/** Each look is a handful of questions to the resolver, and a Worker has six connections at once. */
const LOOKED_AT_ONCE = 4;
const SETTLED_AT_ONCE = 16;
const SETTLED_MAX = 1_000;

/** Each domain's failure is its own: the next sweep comes in a minute. */
export async function sweepDomains(env: ControlEnv): Promise<void> {
  const database = databaseOf(env);
  await inBatches(await unsettledHolds(database, SETTLED_MAX), SETTLED_AT_ONCE, (hold) => settle(env, hold));
  const due = await dueDomains(database, Date.now(), domainLimits(env.TUNING).domainsPerSweep);
  await inBatches(due, LOOKED_AT_ONCE, (domain) =>
    check(env, domain, { actor: "system" }).catch((error: unknown) => {
      console.warn(JSON.stringify({ at: "domains", hostname: domain.hostname, error: String(error).slice(0, 300) }));
      return null;
    }),
  );
}
