// Which record an ingress may have set for which hostname: only nodes that an operator has named, only for hostnames that are served here.
import type { NodeId } from "../../../contracts/ids.ts";
import { bareName, delegatedRecord } from "../../../core/names/ingress-names.ts";
import { findHold } from "../../../db/queries/domain-holds.ts";
import type { ControlEnv } from "../env.ts";
import { databaseOf } from "../http/database.ts";
import { fail } from "../http/problem.ts";
import { ingressNodes } from "./ingress-zone.ts";

/** The record below the nodes' zone. Whoever can have it set can have a certificate for that hostname: a stolen node must not. */
export async function ingressRecord(env: ControlEnv, zone: string, node: NodeId, hostname: string): Promise<string> {
  if (!ingressNodes(env).includes(node)) {
    fail("forbidden", `This node may have no certificates for apps: an operator adds ${node} to INGRESS_NODES.`);
  }
  if (bareName(hostname) !== env.BASE_DOMAIN) {
    const hold = await findHold(databaseOf(env), hostname);
    if (hold?.state !== "held") fail("not_found", `No app here has the hostname ${hostname}.`);
  }
  return delegatedRecord(hostname, zone);
}
