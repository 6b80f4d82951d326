// Join tokens: single use, also when many try at once; the key that used one may try again.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { JoinTokenId, NodeId, RegionName } from "../../contracts/ids.ts";
import { mintId, toUuid } from "../../db/ids.ts";
import { consumeJoinToken, createJoinToken, listJoinTokens } from "../../db/queries/join-tokens.ts";
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

  it("is replaced when its creation is tried again under the same id", async () => {
    const { id, hash } = await token();
    const again = "ab".repeat(32);
    await createJoinToken(db.app, { id, hash: again, region: null, expiresInMs: 60_000, actor: "user:op" });
    expect((await use(hash, "key-old")).ok).toBe(false);
    expect((await use(again, "key-new")).ok).toBe(true);
  });
});
