// The region's snapshot on a node's disk: as it was signed, and what of it the gateway and the ingress read. Written by the agent.
import { gunzipSync } from "node:zlib";
import { compactVerify, createLocalJWKSet } from "jose";
import { z } from "zod";
import type { TicketKey } from "../contracts/agent-protocol.ts";
import { RegionName } from "../contracts/ids.ts";
import { Snapshot, SNAPSHOT_BYTES_MAX, SNAPSHOT_TYP, SnapshotNode } from "../contracts/snapshot.ts";

/** As the control plane signed it: the proof, and what an agent starts from. */
export const SNAPSHOT_FILE = "snapshot.jws";
/** Its nodes alone: all that a gateway needs to check its peers' tickets. */
export const PEERS_FILE = "peers.json";
/** What it says, for the ingress. */
export const REGION_FILE = "region.json";

export const PeersFile = z.object({
  region: RegionName,
  version: z.int().positive(),
  nodes: z.array(SnapshotNode),
});
export type PeersFile = z.infer<typeof PeersFile>;

/** Throws for one that no ticket key of this node has signed, or that is no snapshot. */
export async function openSnapshot(signed: string, ticketKeys: readonly TicketKey[]): Promise<Snapshot> {
  const keys = createLocalJWKSet({ keys: ticketKeys.map((key) => ({ ...key })) });
  const { payload, protectedHeader } = await compactVerify(signed, keys, { algorithms: ["EdDSA"] });
  if (protectedHeader.typ !== SNAPSHOT_TYP) throw new Error("what is signed there is no snapshot");
  const text = gunzipSync(payload, { maxOutputLength: SNAPSHOT_BYTES_MAX }).toString("utf8");
  return Snapshot.parse(JSON.parse(text));
}
