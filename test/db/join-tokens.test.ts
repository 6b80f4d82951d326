// Join tokens: single use, also when many try at once; the key that used one may try again.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { JoinTokenId, NodeId, RegionName } from "../../contracts/ids.ts";
import { mintId, toUuid } from "../../db/ids.ts";
import { consumeJoinToken, createJoinToken, listJoinTokens, revokeJoinToken } from "../../db/queries/join-tokens.ts";
import { testDatabase, type TestDatabase } from "./database.ts";

let db: TestDatabase;
const fra = "fra" as RegionName;
beforeAll(async () => void (db = await testDatabase()));
afterAll(() => db.close());

let made = 0;
async function token(
  region: RegionName | null = null,
  expiresInMs = 60_000,
): Promise<{ id: JoinTokenId; hash: string }> {
  const hash = (made += 1).toString(16).padStart(64, "0");
  const id = mintId<JoinTokenId>("join");
  await createJoinToken(db.app, { id, hash, region, expiresInMs, actor: "user:op" });
  return { id, hash };
}
const use = (hash: string, jkt: string, node = mintId<NodeId>("node")) =>
  consumeJoinToken(db.app, { hash, node, jkt, region: fra });

describe("a join token", () => {
  it("makes one node when twenty keys try at once", async () => {
    const { hash } = await token();
    const tries = await Promise.all(Array.from({ length: 20 }, (_, index) => use(hash, `key-${index}`)));
    const won = tries.filter((result) => result.ok);
    const codes = tries.flatMap((result) => (result.ok ? [] : [result.failure.code]));
    expect(won).toHaveLength(1);
    expect(new Set(codes)).toEqual(new Set(["join_token_used"]));
    const listed = await listJoinTokens(db.app, { limit: 1 });
    expect(listed.ok && listed.value.items[0]?.usedBy).toBe(won[0]?.ok && won[0].value.node);
  });

  it("gives the key that used it the same node again, also after its expiry", async () => {
    const { id, hash } = await token();
    const first = await use(hash, "key");
    await db.admin.query("update join_tokens set expires_at = now() - interval '1 hour' where id = $1", [
      toUuid(id, "join"),
    ]);
    const second = await use(hash, "key");
    expect(first.ok && second.ok && second.value.node === first.value.node).toBe(true);
  });

  it("is refused, and the refusal audited, once it has expired, for another region, or if it never was", async () => {
    const expired = await token(null, 1);
    await new Promise((resolve) => setTimeout(resolve, 20));
    const elsewhere = await token("ams" as RegionName);
    const codes = [];
    for (const hash of [expired.hash, elsewhere.hash, "ff".repeat(32)]) {
      const result = await use(hash, "key-refused");
      codes.push(result.ok ? "ok" : result.failure.code);
    }
    expect(codes).toEqual(["join_token_expired", "forbidden", "join_token_unknown"]);
    const { rows } = await db.admin.query("select outcome from audit where actor = 'key:key-refused' order by id");
    expect(rows.map((row: { outcome: string }) => row.outcome)).toEqual(codes);
  });

  it("that was revoked enrols nobody, and one that was used says which node it made", async () => {
    const stolen = await token();
    const ended = await revokeJoinToken(db.app, { id: stolen.id, actor: "user:op" });
    expect(ended).toMatchObject({ id: stolen.id, usedAtMs: null });
    const result = await use(stolen.hash, "key-thief");
    expect(result.ok ? "ok" : result.failure.code).toBe("join_token_expired");

    const used = await token();
    const made = await use(used.hash, "key-first");
    const told = await revokeJoinToken(db.app, { id: used.id, actor: "user:op" });
    expect(told?.usedBy).toBe(made.ok && made.value.node);
    expect(await revokeJoinToken(db.app, { id: mintId<JoinTokenId>("join"), actor: "user:op" })).toBeNull();
  });

  it("makes no second node of a key that has one already, also of two at once; it stays good for a key of its own", async () => {
    const tokens = await Promise.all([token(), token(), token()]);
    const tries = await Promise.all(tokens.map(({ hash }) => use(hash, "key-copied")));
    const won = tries.findIndex((result) => result.ok);
    const refused = tries.flatMap((result) => (result.ok ? [] : [result.failure]));
    const first = tries[won];
    expect(refused.map(({ code }) => code)).toEqual(["conflict", "conflict"]);
    expect(first?.ok && refused[0]?.message).toContain(first?.ok && first.value.node);
    const { rows } = await db.admin.query("select outcome from audit where actor = 'key:key-copied'");
    expect(rows).toEqual([{ outcome: "node_key_used" }, { outcome: "node_key_used" }]);
    const left = tokens.find((_, at) => at !== won);
    expect((await use(left!.hash, "key-own")).ok).toBe(true);
  });

  it("is replaced when its creation is tried again under the same id", async () => {
    const { id, hash } = await token();
    const again = "ab".repeat(32);
    await createJoinToken(db.app, { id, hash: again, region: null, expiresInMs: 60_000, actor: "user:op" });
    expect((await use(hash, "key-old")).ok).toBe(false);
    expect((await use(again, "key-new")).ok).toBe(true);
  });
});
