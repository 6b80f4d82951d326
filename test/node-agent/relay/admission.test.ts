// Who may keep a connection to a gateway: only whom the control plane allowed it, for that very gateway, with the key it named, once.
import { SignJWT, importJWK } from "jose";
import { beforeAll, describe, expect, test } from "vitest";
import { nodeId, signingKey, type SigningKey } from "../../../bench/shared/gateway-world.ts";
import { RELAY_GRANT_TTL_MS, RELAY_PROOF_TYP } from "../../../contracts/relay.ts";
import { AdmissionDesk } from "../../../node-agent/relay/admission.ts";
import type { RelayFile } from "../../../node-agent/relay/relay-file.ts";
import { signGrant } from "../../../workers/control/relay/grant.ts";
import { HIDDEN, RELAY, relayKey } from "./relayed.ts";

const NOW_MS = 1_800_000_000_000;
let ticketKey: SigningKey;
let own: RelayFile["key"];
let other: RelayFile["key"];
beforeAll(async () => {
  [ticketKey, own, other] = await Promise.all([signingKey(), relayKey(), relayKey()]);
});

const grant = (relay = RELAY, key = ticketKey, atMs = NOW_MS) =>
  signGrant(key.secret, { node: HIDDEN, relay, key: own.x }, atMs);
let made = 0;
async function proof({ key = own, relay = RELAY, atMs = NOW_MS, typ = RELAY_PROOF_TYP, jti = `${(made += 1)}` } = {}) {
  const { d: _, ...jwk } = key;
  return new SignJWT({})
    .setProtectedHeader({ alg: "EdDSA", typ, jwk })
    .setAudience(relay)
    .setJti(jti)
    .setIssuedAt(atMs / 1_000)
    .sign(await importJWK(key, "EdDSA"));
}
const judge = (header: string, desk = new AdmissionDesk()) =>
  desk.judge(header, { node: RELAY, keys: [ticketKey.publicKey] }, NOW_MS);

describe("a node that dials", () => {
  test("is let in under its own name", async () => {
    expect(await judge(`${await grant()} ${await proof()}`)).toEqual({ kind: "admitted", node: HIDDEN });
  });

  test.each<[string, () => Promise<string>, RegExp]>([
    ["with nothing", async () => "", /Invalid Compact JWS/],
    ["without a proof", () => grant(), /Invalid Compact JWS/],
    ["with more than that", async () => `${await grant()} ${await proof()} x`, /more than a grant and a proof/],
    ["with a grant for another gateway", async () => `${await grant(nodeId(3))} ${await proof()}`, /"aud"/],
    [
      "with another platform's grant",
      async () => `${await grant(RELAY, await signingKey())} ${await proof()}`,
      /signature/,
    ],
    [
      "with a grant of yesterday",
      async () => `${await grant(RELAY, ticketKey, NOW_MS - RELAY_GRANT_TTL_MS)} ${await proof()}`,
      /"exp"/,
    ],
    [
      "with a ticket's kind of proof",
      async () => `${await grant()} ${await proof({ typ: "berth-ticket+jwt" })}`,
      /"typ"/,
    ],
    ["with another's key", async () => `${await grant()} ${await proof({ key: other })}`, /by another key/],
    ["with a proof for another gateway", async () => `${await grant()} ${await proof({ relay: nodeId(3) })}`, /"aud"/],
    ["with a proof of a minute ago", async () => `${await grant()} ${await proof({ atMs: NOW_MS - 60_000 })}`, /"iat"/],
    ["with a proof from the future", async () => `${await grant()} ${await proof({ atMs: NOW_MS + 60_000 })}`, /"iat"/],
  ])("%s is refused, with the reason", async (_, header, why) => {
    expect(await judge(await header())).toEqual({ kind: "refused", why: expect.stringMatching(why) });
  });

  test("cannot use a proof twice", async () => {
    const desk = new AdmissionDesk();
    const header = `${await grant()} ${await proof()}`;
    expect(await judge(header, desk)).toMatchObject({ kind: "admitted" });
    expect(await judge(header, desk)).toMatchObject({ kind: "refused", why: expect.stringContaining("used before") });
  });

  test("is refused by a gateway that does not know its own node yet", async () => {
    const header = `${await grant()} ${await proof()}`;
    expect(await new AdmissionDesk().judge(header, null, NOW_MS)).toMatchObject({ kind: "refused" });
  });
});
