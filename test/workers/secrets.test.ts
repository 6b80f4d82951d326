// Sealed values: opened in their place alone, with the keys of their time, by nobody else.
import { base64url, compactDecrypt, exportJWK, FlattenedEncrypt, generateKeyPair } from "jose";
import { describe, expect, it } from "vitest";
import { secretKeys } from "../../workers/control/secrets/keys.ts";
import { open, requestHashes, rewrap, seal, versionOf } from "../../workers/control/secrets/seal.ts";
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

  it("does not open in another place whose data key was written into it", async () => {
    const sealed = JSON.parse(await seal(first, place, VALUE)) as Record<string, string>;
    const other = JSON.parse(await seal(first, { ...place, team: "team_b" }, "x")) as Record<string, string>;
    const forged = JSON.stringify({ ...sealed, key: other.key });
    await expect(open(first, { ...place, team: "team_b" }, forged)).rejects.toThrow();
  });

  it("opens after the keys were rotated, and new ones are sealed under the new key", async () => {
    const old = await seal(first, place, VALUE);
    expect(await open(rotated, place, old)).toBe(VALUE);
    const fresh = await seal(rotated, place, VALUE);
    await expect(open(first, place, fresh)).rejects.toThrow("key that this value was sealed under is gone");
  });

  it("does not open once a bit of it was changed", async () => {
    const envelope = JSON.parse(await seal(first, place, VALUE)) as Record<string, string>;
    for (const part of ["key", "value"]) {
      const parts = envelope[part]!.split(".");
      const flipped = parts[3]!.startsWith("A") ? "B" : "A";
      const forged = parts.with(3, flipped + parts[3]!.slice(1)).join(".");
      await expect(open(first, place, JSON.stringify({ ...envelope, [part]: forged }))).rejects.toThrow();
    }
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

describe("the hashes of a request with secrets", () => {
  it("are the same for the same request, others for another, and keyed", async () => {
    const [hash] = await requestHashes(first, { set: { A: "1" } });
    expect(await requestHashes(first, { set: { A: "1" } })).toEqual([hash]);
    expect(await requestHashes(first, { set: { A: "2" } })).not.toContain(hash);
    const otherRing = JSON.stringify({ current: "1", keys: { "1": KEY_2 } });
    expect(await requestHashes(otherRing, { set: { A: "1" } })).not.toContain(hash);
  });

  it("hold the one of before when the keys are rotated between two tries", async () => {
    const [before] = await requestHashes(first, "x");
    const after = await requestHashes(rotated, "x");
    expect(after).toHaveLength(2);
    expect(after[1]).toBe(before);
  });
});

describe("wrapping anew", () => {
  it("puts the data key under the key of now and leaves the value as it is", async () => {
    const old = await seal(first, place, VALUE);
    const fresh = (await rewrap(rotated, place, old)) as string;
    expect([versionOf(old), versionOf(fresh)]).toEqual(["1", "2"]);
    expect((JSON.parse(fresh) as { value: string }).value).toBe((JSON.parse(old) as { value: string }).value);
    const withoutOld = JSON.stringify({ current: "2", keys: { "2": KEY_2 } });
    expect(await open(withoutOld, place, fresh)).toBe(VALUE);
    expect(await rewrap(rotated, place, fresh)).toBeNull();
  });

  it("refuses what was sealed for another place", async () => {
    const old = await seal(first, place, VALUE);
    await expect(rewrap(rotated, { ...place, name: "OTHER" }, old)).rejects.toThrow("another place");
  });

  it("gives a value from before there were data keys one, and opens it until then", async () => {
    const legacy = await sealedOfBefore(KEY_1, "1");
    expect(versionOf(legacy)).toBe("1");
    expect(await open(rotated, place, legacy)).toBe(VALUE);
    const fresh = (await rewrap(rotated, place, legacy)) as string;
    expect(versionOf(fresh)).toBe("2");
    expect(await open(rotated, place, fresh)).toBe(VALUE);
  });
});

/** As version 0.1 stored them. */
async function sealedOfBefore(key: string, version: string): Promise<string> {
  const binding = new TextEncoder().encode(JSON.stringify([place.team, place.scope, place.name, version]));
  const jwe = await new FlattenedEncrypt(new TextEncoder().encode(VALUE))
    .setProtectedHeader({ alg: "A256GCMKW", enc: "A256GCM", kid: version })
    .setAdditionalAuthenticatedData(binding)
    .encrypt(base64url.decode(key));
  return JSON.stringify(jwe);
}

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
