// Sealed values: opened in their place alone, with the keys of their time, by nobody else.
import { compactDecrypt, exportJWK, generateKeyPair } from "jose";
import { describe, expect, it } from "vitest";
import { secretKeys } from "../../workers/control/secrets/keys.ts";
import { open, requestHash, seal } from "../../workers/control/secrets/seal.ts";
import { sealToNode } from "../../workers/control/secrets/seal-to-node.ts";

const KEY_1 = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
const KEY_2 = "BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBA";
const first = JSON.stringify({ current: "1", keys: { "1": KEY_1 } });
const rotated = JSON.stringify({ current: "2", keys: { "1": KEY_1, "2": KEY_2 } });
const place = { team: "team_a", scope: "app_a", name: "DATABASE_URL" };
const VALUE = "postgres://user:päss@db/x";

describe("a sealed value", () => {
  it("opens in its place", async () => {
    const sealed = await seal(first, place, VALUE);
    expect(sealed).not.toContain("postgres");
    expect(await open(first, place, sealed)).toBe(VALUE);
  });

  it("is sealed anew each time, under a key of its own", async () => {
    expect(await seal(first, place, VALUE)).not.toBe(await seal(first, place, VALUE));
  });

  it.each([{ team: "team_b" }, { scope: "app_b" }, { name: "OTHER" }])("does not open in %j", async (moved) => {
    const sealed = await seal(first, place, VALUE);
    await expect(open(first, { ...place, ...moved }, sealed)).rejects.toThrow("sealed for another place");
  });

  it("does not open in another place whose binding was written into it", async () => {
    const sealed = JSON.parse(await seal(first, place, VALUE)) as Record<string, string>;
    const other = JSON.parse(await seal(first, { ...place, team: "team_b" }, "x")) as Record<string, string>;
    const forged = JSON.stringify({ ...sealed, aad: other.aad });
    await expect(open(first, { ...place, team: "team_b" }, forged)).rejects.toThrow();
  });

  it("opens after the keys were rotated, and new ones are sealed under the new key", async () => {
    const old = await seal(first, place, VALUE);
    expect(await open(rotated, place, old)).toBe(VALUE);
    const fresh = await seal(rotated, place, VALUE);
    await expect(open(first, place, fresh)).rejects.toThrow("key that this value was sealed under is gone");
  });

  it("does not open once a bit of it was changed", async () => {
    const jwe = JSON.parse(await seal(first, place, VALUE)) as Record<string, string>;
    const flipped = jwe.ciphertext?.startsWith("A") ? "B" : "A";
    const forged = JSON.stringify({ ...jwe, ciphertext: flipped + jwe.ciphertext?.slice(1) });
    await expect(open(first, place, forged)).rejects.toThrow();
  });
});

describe("the key ring", () => {
  it.each([
    ["not JSON", "keys"],
    ["no current key", JSON.stringify({ current: "3", keys: { "1": KEY_1 } })],
    ["a short key", JSON.stringify({ current: "1", keys: { "1": "AAAA" } })],
  ])("with %s is refused without being quoted", (_, ring) => {
    expect(() => secretKeys(ring)).toThrow(/^SECRETS_KEYS/);
    expect(() => secretKeys(ring)).not.toThrow(KEY_1);
  });
});

describe("the hash of a request with secrets", () => {
  it("is the same for the same request, another for another, and keyed", async () => {
    const hash = await requestHash(first, { set: { A: "1" } });
    expect(await requestHash(first, { set: { A: "1" } })).toBe(hash);
    expect(await requestHash(first, { set: { A: "2" } })).not.toBe(hash);
    const otherRing = JSON.stringify({ current: "1", keys: { "1": KEY_2 } });
    expect(await requestHash(otherRing, { set: { A: "1" } })).not.toBe(hash);
  });

  it("stays the same when the keys are rotated between two tries", async () => {
    expect(await requestHash(rotated, "x")).toBe(await requestHash(first, "x"));
  });
});

describe("a value sealed to a node", () => {
  it("opens with the node's X25519 key and no other", async () => {
    const node = await generateKeyPair("ECDH-ES", { crv: "X25519", extractable: true });
    const other = await generateKeyPair("ECDH-ES", { crv: "X25519", extractable: true });
    const { x } = await exportJWK(node.publicKey);
    const sealed = await sealToNode(x as string, { A: "1" });
    const { plaintext, protectedHeader } = await compactDecrypt(sealed, node.privateKey);
    expect(JSON.parse(new TextDecoder().decode(plaintext))).toEqual({ A: "1" });
    expect(protectedHeader).toMatchObject({ alg: "ECDH-ES", enc: "A256GCM" });
    await expect(compactDecrypt(sealed, other.privateKey)).rejects.toThrow();
  });
});
