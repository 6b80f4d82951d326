// Keys in versions: one signs, all of the ring verify; what reaches the edge opens there alone; sessions outlive their secret's rotation.
import { exportJWK, generateKeyPair, type JWK } from "jose";
import { expect, it } from "vitest";
import { issueCredential, verifyCredential } from "../../workers/control/agent/credential.ts";
import { ticketKeys } from "../../workers/control/agent/ticket-keys.ts";
import { readBearer, sessionBearer } from "../../workers/control/auth/bearer.ts";
import { sessionVersions } from "../../workers/control/keys/session-secrets.ts";
import { mergedKeys, secretKeys } from "../../workers/control/secrets/keys.ts";
import { openAtEdge, sealForEdge } from "../../workers/keys/documents.ts";
import { Fresh } from "../../workers/keys/fresh.ts";
import type { CellName, NodeId } from "../../contracts/ids.ts";

async function jwk(kid: string): Promise<JWK> {
  const { privateKey } = await generateKeyPair("EdDSA", { crv: "Ed25519", extractable: true });
  return { ...(await exportJWK(privateKey)), kid };
}
const publicOf = ({ d: _private, ...rest }: JWK): JWK => rest;
const to = { node: "node_01jzzzzzzze0a0000000000001" as NodeId, cell: "local.0" as CellName, jkt: "x".repeat(43) };
const NOW = Date.UTC(2026, 0, 1);

it("a credential by the old key is believed while the ring has it, and no longer, also where it was verified before", async () => {
  const [old, fresh] = [await jwk("credential-1"), await jwk("credential-2")];
  const credential = await issueCredential(JSON.stringify(old), to, NOW);
  const both = JSON.stringify({ current: "credential-2", keys: [fresh, publicOf(old)] });
  expect(await verifyCredential(both, credential, NOW, "refused")).toMatchObject({ sub: to.node });
  const alone = JSON.stringify({ current: "credential-2", keys: [fresh] });
  await expect(verifyCredential(alone, credential, NOW, "refused")).rejects.toThrow("not one that this control plane");
  const renewed = await issueCredential(both, to, NOW);
  expect(await verifyCredential(alone, renewed, NOW, "refused")).toMatchObject({ sub: to.node });
});

it("nodes are told the public halves of all of a ring, and of nothing else", async () => {
  const [old, fresh] = [await jwk("ticket-1"), await jwk("ticket-2")];
  const told = await ticketKeys(JSON.stringify({ current: "ticket-2", keys: [fresh, publicOf(old)] }));
  expect(told.map(({ kid }) => kid)).toEqual(["ticket-2", "ticket-1"]);
  expect(JSON.stringify(told)).not.toContain(fresh.d);
});

it.each(["not JSON", JSON.stringify({ current: "b", keys: [] }), JSON.stringify({ kty: "RSA", kid: "x" })])(
  "a ring that is none is refused without being quoted: %s",
  async (text) => {
    await expect(ticketKeys(text)).rejects.toThrow(/^TICKET_SIGNING_KEY must be an Ed25519 private JWK/);
  },
);

it("the edge's ring opens with the first key and with no other", async () => {
  const [first, other] = [await jwk("ticket-1"), await jwk("ticket-1")];
  const sealed = await sealForEdge(JSON.stringify(first), "the ring");
  expect(await openAtEdge(JSON.stringify(first), sealed)).toBe("the ring");
  await expect(openAtEdge(JSON.stringify(other), sealed)).rejects.toThrow();
});

it("a session outlives the rotation of its secret, and ends with the secret's retirement", async () => {
  const request = (bearer: string) => new Request("https://x", { headers: { authorization: `Bearer ${bearer}` } });
  const bearer = await sessionBearer("a-session-token-of-the-row", "the first secret");
  const both = JSON.stringify({ current: "7", secrets: { "1": "the first secret", "7": "the second" }, retired: {} });
  expect(await readBearer(request(bearer), both)).toEqual({ kind: "session", token: "a-session-token-of-the-row" });
  expect(await sessionBearer("a-session-token-of-the-row", both)).not.toBe(bearer);
  const retired = { "1": "the first secret" };
  const alone = JSON.stringify({ current: "7", secrets: { "7": "the second" }, retired });
  expect(await readBearer(request(bearer), alone)).toBeNull();
  // What second factors were stored by opens for good.
  expect(sessionVersions(alone).map(({ version }) => version)).toEqual([7, 1]);
  expect(sessionVersions(both).map(({ version }) => version)).toEqual([7, 1]);
});

const KEY = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
const ringOf = (version: string) => JSON.stringify({ current: version, keys: { [version]: KEY } });

it("key-encryption keys that were added later open at once, and seal once they are said to", () => {
  const env = { SECRETS_KEYS: ringOf("1"), SECRETS_KEYS_2: ringOf("2") };
  expect([...secretKeys(mergedKeys(env)).byVersion.keys()]).toEqual(["1", "2"]);
  expect(secretKeys(mergedKeys(env)).current).toBe("1");
  expect(secretKeys(mergedKeys(env, "2")).current).toBe("2");
  // An isolate of before it was given.
  expect(secretKeys(mergedKeys({ SECRETS_KEYS: ringOf("1") }, "2")).current).toBe("1");
  // After the first one was taken away.
  const left: object = { SECRETS_KEYS_2: ringOf("2") };
  expect(secretKeys(mergedKeys(left)).current).toBe("2");
});

it("what was read once is used while it cannot be read again", async () => {
  let nowMs = 0;
  let asked = 0;
  const fresh = new Fresh<string>({ freshMs: 10, nowMs: () => nowMs });
  const work: Promise<unknown>[] = [];
  const get = (ask: () => Promise<string>) => fresh.get(ask, (promise) => void work.push(promise));
  expect(await get(() => Promise.resolve("first"))).toBe("first");
  nowMs = 20;
  const failing = () => ((asked += 1), Promise.reject(new Error("KV is away")));
  expect(await get(failing)).toBe("first");
  await Promise.all(work);
  // Not by every request until it is stale once more.
  expect(await get(failing)).toBe("first");
  expect(asked).toBe(1);
});

it("a reading that never ends holds up nobody for longer than it may, and is begun anew", async () => {
  let nowMs = 0;
  let asked = 0;
  const fresh = new Fresh<string>({ freshMs: 10, nowMs: () => nowMs });
  const never = () => ((asked += 1), new Promise<string>(() => undefined));
  const get = (ask: () => Promise<string>) => fresh.get(ask, () => undefined);
  expect(await get(never)).toBeNull();
  nowMs = 2_000;
  expect(await get(never)).toBeNull();
  expect(asked).toBe(1);
  nowMs = 6_000;
  expect(await get(() => Promise.resolve("at last"))).toBe("at last");
  nowMs = 7_000;
  expect(await get(never)).toBe("at last");
  nowMs = 13_000;
  expect(await get(() => Promise.resolve("newer"))).toBe("at last");
  await new Promise((resolve) => setTimeout(resolve, 10));
  expect(await get(never)).toBe("newer");
});
