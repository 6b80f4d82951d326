// What a node asks for about its name: the records that say where it is, and the one that an ACME server wants to see.
import {
  ChallengeRequest,
  NameRequest,
  type ChallengeResponse,
  type NameResponse,
} from "../../../contracts/node-names.ts";
import type { NodeId } from "../../../contracts/ids.ts";
import {
  addressRecords,
  areRecordsDue,
  challengeRecord,
  gatewayUrlOf,
  nodeName,
} from "../../../core/names/node-name.ts";
import { rememberDnsName } from "../../../db/queries/nodes.ts";
import { readAgentRequest } from "../agent/read-agent-request.ts";
import type { ControlEnv } from "../env.ts";
import { ask } from "../http/ask.ts";
import type { ControlRequest } from "../http/context.ts";
import { databaseOf } from "../http/database.ts";
import { fail } from "../http/problem.ts";
import { unwrap } from "../http/respond.ts";
import { ingressRecord } from "./ingress-challenge.ts";
import { DnsRefused, nodesZoneOf, type DnsZone } from "./dns-zone.ts";

const ACME_DIRECTORY = "https://acme-v02.api.letsencrypt.org/directory";
/** Records are looked after again when the agent asks after this long: somebody may have removed them by hand. Agents ask daily. */
const RECORDS_FRESH_MS = 12 * 3_600_000;

/** Level-triggered and repeatable. The provider is asked only where its records may say something else: a fleet may start at once. */
export async function nameNode(c: ControlRequest): Promise<NameResponse> {
  const { call, body } = await readAgentRequest(c, NameRequest, { lane: "ask" });
  const { cell, proof } = call;
  const { naming } = unwrap(await ask(() => c.env.CELL.getByName(cell).admit(proof), { repeatable: false }));
  const nowMs = Date.now();
  const own = zoneOf(c.env);
  if (own === null) return { name: null, gatewayUrl: null, acme: null, nowMs };
  const name = nodeName(proof.node, own.zone);
  const { addresses } = body;
  const due = areRecordsDue(naming ?? null, { name, addresses }, nowMs, RECORDS_FRESH_MS);
  if (due) {
    // First who has to be asked to remove them again.
    await rememberDnsName(databaseOf(c.env), proof.node, name);
    await settled(proof.node, async () => {
      for (const [type, values] of Object.entries(addressRecords(addresses))) {
        await own.dns.set(name, type as "A" | "AAAA", values);
      }
    });
  }
  const gatewayUrl = gatewayUrlOf(name, body.gatewayPort);
  const known = { name, addresses, atMs: due ? nowMs : (naming?.atMs ?? nowMs) };
  const told = { node: proof.node, naming: known, gatewayUrl: body.serving ? gatewayUrl : null };
  const taken = await ask(() => c.env.CELL.getByName(cell).nameNode(told), { repeatable: true });
  // Removed meanwhile: its records may have been made after they were removed.
  if (!taken.ok && due) await rememberDnsName(databaseOf(c.env), proof.node, name);
  unwrap(taken);
  const directoryUrl = c.env.ACME_DIRECTORY ?? ACME_DIRECTORY;
  return { name, gatewayUrl, acme: directoryUrl === "none" ? null : { directoryUrl }, nowMs };
}

/** Under the node's own name, or for an ingress under a name that apps' hostnames are delegated to; under no other. */
export async function answerChallenge(c: ControlRequest): Promise<ChallengeResponse> {
  const { call, body } = await readAgentRequest(c, ChallengeRequest, { lane: "ask" });
  const { cell, proof } = call;
  unwrap(await ask(() => c.env.CELL.getByName(cell).admit(proof), { repeatable: false }));
  const own = zoneOf(c.env);
  if (own === null) return fail("not_found", "This control plane serves no zone for nodes (NODES_ZONE).");
  const { value, hostname } = body;
  const record =
    hostname === undefined
      ? challengeRecord(nodeName(proof.node, own.zone))
      : await ingressRecord(c.env, own.zone, proof.node, hostname);
  await settled(proof.node, () => own.dns.set(record, "TXT", value === null ? [] : [value]));
  return { record, nowMs: Date.now() };
}

function zoneOf(env: ControlEnv): { zone: string; dns: DnsZone } | null {
  try {
    return nodesZoneOf(env);
  } catch (error) {
    return fail("dns_unavailable", error instanceof Error ? error.message : String(error));
  }
}

/** The provider's reason belongs to the operator: it goes to the log, and to the node, whose condition shows it. */
async function settled(node: NodeId, act: () => Promise<void>): Promise<void> {
  try {
    await act();
  } catch (error) {
    if (!(error instanceof DnsRefused)) throw error;
    console.warn(JSON.stringify({ at: "names", node, refused: error.message }));
    const { retryAfterMs } = error;
    fail("dns_unavailable", error.message, retryAfterMs === null ? {} : { retryAfterMs });
  }
}
