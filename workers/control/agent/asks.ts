// What a node may ask for beside its document: a fresh credential, an instance's sealed environment, a bundle.
import { z } from "zod";
import {
  EnvironmentRequest,
  type CredentialResponse,
  type EnvironmentResponse,
} from "../../../contracts/agent-protocol.ts";
import { Sha256 } from "../../../contracts/agent-release.ts";
import type { DesiredInstance } from "../../../contracts/desired.ts";
import { InstanceId, type AppId, type TeamId } from "../../../contracts/ids.ts";
import { BundleHash, type ReleaseSpec } from "../../../contracts/release.ts";
import { recordNodeKeys } from "../../../db/queries/platform-keys.ts";
import { findRegistry } from "../../../db/queries/registries.ts";
import { bundleKey, registryOf } from "../apps/check-source.ts";
import type { ControlEnv } from "../env.ts";
import { ask } from "../http/ask.ts";
import type { ControlRequest } from "../http/context.ts";
import { databaseOf } from "../http/database.ts";
import { fail } from "../http/problem.ts";
import { unwrap } from "../http/respond.ts";
import { invalid } from "../http/validation.ts";
import { agentBytesKey } from "../releases/store.ts";
import { open } from "../secrets/seal.ts";
import { sealToNode } from "../secrets/seal-to-node.ts";
import { authenticateAgent, type AgentCall } from "./authenticate.ts";
import { CREDENTIAL_TTL_MS, issueCredential, kidOf } from "./credential.ts";
import { readAgentRequest } from "./read-agent-request.ts";
import { ticketKeys } from "./ticket-keys.ts";

/** An expired credential is good enough to be renewed: the key's proof counts, and the Cell knows who was revoked. */
export async function renewCredential(c: ControlRequest): Promise<CredentialResponse> {
  const shape = z.object({ protocol: z.int() });
  const { call } = await readAgentRequest(c, shape, { lane: "ask", expired: "accepted" });
  const { cell, proof } = call;
  const nowMs = Date.now();
  const renewed = { ...proof, renewedUntilMs: nowMs + CREDENTIAL_TTL_MS };
  unwrap(await ask(() => c.env.CELL.getByName(cell).admit(renewed), { repeatable: false }));
  const credential = await issueCredential(
    c.env.CREDENTIAL_SIGNING_KEY,
    { node: proof.node, cell, jkt: proof.jkt },
    nowMs,
  );
  const trusted = await ticketKeys(c.env.TICKET_SIGNING_KEY);
  // Of an agent that does not ask for keys by themselves, this is the word that it has them.
  if (c.env.KEYS_MOVING !== undefined) {
    const told = { node: proof.node, ticket: trusted.map(({ kid }) => kid), credential: kidOf(credential) };
    await recordNodeKeys(databaseOf(c.env), told).catch(() => undefined);
  }
  return { credential, ticketKeys: trusted, nowMs };
}

/** Opened here, sealed to the node's key, and nowhere else in plaintext. */
export async function environment(c: ControlRequest, instanceText: string): Promise<EnvironmentResponse> {
  const { call, body } = await readAgentRequest(c, EnvironmentRequest, { lane: "ask" });
  const { sealKey, placed } = await placedOn(c.env, call, instanceText);
  const { app, instance } = placed;
  const asked = { instance, generation: body.generation, node: call.proof.node };
  const held = unwrap(await ask(() => c.env.APP.getByName(app).environment(asked), { repeatable: true }));
  const opened = await Promise.all(
    Object.entries(held.sealed).map(async ([name, sealed]) => {
      return [name, await open(c.env.SECRETS_KEYS, { team: held.team, scope: held.app, name }, sealed)] as const;
    }),
  );
  const pull = held.privateImage ? await pullCredential(c.env, held) : null;
  return {
    environment: await sealToNode(sealKey, Object.fromEntries(opened)),
    pullCredential: pull === null ? null : await sealToNode(sealKey, pull),
  };
}

/** Only to the node that has an instance of it to run. */
export async function bundle(c: ControlRequest, hashText: string): Promise<Response> {
  const call = await authenticateAgent(c.req.raw, new Uint8Array(), c.env.CREDENTIAL_SIGNING_KEY, { lane: "ask" });
  const hash = BundleHash.safeParse(hashText);
  if (!hash.success) throw invalid(hash.error.issues, "param");
  const { placed } = await placedOn(c.env, call, c.req.query("instance") ?? "");
  const { source, team } = placed;
  if (source.kind !== "bundle" || source.hash !== hash.data) fail("not_found", "This instance runs another source.");
  const stored = await c.env.BUNDLES.get(bundleKey(team, hash.data));
  if (stored === null) return fail("not_found", "This bundle is not stored any more.");
  return c.body(stored.body, 200, { "content-type": "application/gzip", "content-length": String(stored.size) });
}

/** An agent release's bytes, for any node of this installation: nothing in them is secret, and nodes check the signature. */
export async function agentBundle(c: ControlRequest, sha256Text: string): Promise<Response> {
  const { cell, proof } = await authenticateAgent(c.req.raw, new Uint8Array(), c.env.CREDENTIAL_SIGNING_KEY, {
    lane: "ask",
  });
  const sha256 = Sha256.safeParse(sha256Text);
  if (!sha256.success) throw invalid(sha256.error.issues, "param");
  unwrap(await ask(() => c.env.CELL.getByName(cell).admit(proof), { repeatable: false }));
  const stored = await c.env.BUNDLES.get(agentBytesKey(sha256.data));
  if (stored === null) return fail("not_found", "These bytes are not stored here.");
  return c.body(stored.body, 200, {
    "content-type": "application/octet-stream",
    "content-length": String(stored.size),
  });
}

async function placedOn(
  env: ControlEnv,
  { cell, proof }: AgentCall,
  instanceText: string,
): Promise<{ sealKey: string; placed: DesiredInstance }> {
  const instance = InstanceId.safeParse(instanceText);
  if (!instance.success) throw invalid(instance.error.issues, "param");
  const input = { ...proof, instance: instance.data };
  const { sealKey, placed } = unwrap(await ask(() => env.CELL.getByName(cell).admit(input), { repeatable: false }));
  if (!placed) return fail("not_found", "No such instance belongs on this node.");
  return { sealKey, placed };
}

async function pullCredential(
  env: ControlEnv,
  { team, spec }: { team: TeamId; app: AppId; spec: ReleaseSpec },
): Promise<{ username: string; password: string; registry: string } | null> {
  const registry = spec.source.kind === "image" ? registryOf(spec.source.reference) : null;
  if (registry === null) return null;
  const stored = await findRegistry(databaseOf(env), team, registry);
  if (stored === null) return null;
  const place = { team, scope: "registry", name: registry };
  return { username: stored.username, password: await open(env.SECRETS_KEYS, place, stored.sealedPassword), registry };
}
