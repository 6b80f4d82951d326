// A removed node's records are removed: at once where the provider answers, else by the cron sweep.
import { challengeRecord } from "../../../core/names/node-name.ts";
import { forgetDnsName, namesToForget, type NamedNode } from "../../../db/queries/nodes.ts";
import type { ControlEnv } from "../env.ts";
import { inBatches } from "../http/ask.ts";
import { databaseOf } from "../http/database.ts";
import { nodesZoneOf } from "./dns-zone.ts";

const FORGOTTEN_PER_SWEEP = 50;
/** Three questions each, and a Worker has six connections at once. */
const FORGOTTEN_AT_ONCE = 2;

/** What cannot be removed now the next sweep tries again. */
export async function forgetNames(env: ControlEnv, max = FORGOTTEN_PER_SWEEP): Promise<void> {
  if ((env.NODES_ZONE ?? "") === "") return;
  const named = await namesToForget(databaseOf(env), max);
  await inBatches(named, FORGOTTEN_AT_ONCE, (node) =>
    forget(env, node).catch((error: unknown) => {
      console.warn(
        JSON.stringify({ at: "names", node: node.id, forgotten: false, error: String(error).slice(0, 300) }),
      );
    }),
  );
}

async function forget(env: ControlEnv, { id, dnsName }: NamedNode): Promise<void> {
  const own = nodesZoneOf(env);
  // Of a zone that is not ours any more nobody here can say anything.
  if (own !== null && dnsName.endsWith(`.${own.zone}`)) {
    await own.dns.set(dnsName, "A", []);
    await own.dns.set(dnsName, "AAAA", []);
    await own.dns.set(challengeRecord(dnsName), "TXT", []);
  }
  await forgetDnsName(databaseOf(env), id);
}
