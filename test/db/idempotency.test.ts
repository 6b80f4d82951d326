// Keys of writes that end in Postgres, and the writes themselves when they are tried again.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { AppId, TeamId } from "../../contracts/ids.ts";
import { mintId, toUuid } from "../../db/ids.ts";
import { createApp, destroyApp, findApp } from "../../db/queries/apps.ts";
import { beginIdempotent, finishIdempotent, sweepIdempotencyKeys } from "../../db/queries/idempotency.ts";
import { createProject } from "../../db/queries/projects.ts";
import { addTeam, testDatabase, type TestDatabase } from "./database.ts";

let db: TestDatabase;
let team: TeamId;
beforeAll(async () => {
  db = await testDatabase();
  ({ team } = await addTeam(db, "keys"));
});
afterAll(() => db.close());

const actor = "user:x";
let keys = 0;
const newKey = () => ({ team, actor, key: `key-${(keys += 1)}` });
const begin = (at: ReturnType<typeof newKey>, requestHash = "hash", operation = "app.create") =>
  beginIdempotent(db.app, { ...at, operation, requestHashes: [requestHash], resource: mintId("app") });

describe("an idempotency key", () => {
  it("gives all who begin at once the same resource to go on with", async () => {
    const at = newKey();
    const begun = await Promise.all(Array.from({ length: 8 }, () => begin(at)));
    expect(begun.every(({ kind }) => kind === "go_on")).toBe(true);
    expect(new Set(begun.map((one) => (one.kind === "go_on" ? one.resource : one.kind))).size).toBe(1);
  });

  it("is known by a hash under an older key, which the first try was kept by", async () => {
    const at = newKey();
    const both = { ...at, operation: "app.create", resource: mintId("app") };
    await beginIdempotent(db.app, { ...both, requestHashes: ["by the old key"] });
    expect(
      await beginIdempotent(db.app, { ...both, requestHashes: ["by the new key", "by the old key"] }),
    ).toMatchObject({
      kind: "go_on",
    });
    expect(await beginIdempotent(db.app, { ...both, requestHashes: ["by the new key"] })).toEqual({ kind: "reused" });
  });

  it("gives the first answer again, and refuses another body or another operation", async () => {
    const at = newKey();
    await begin(at);
    await finishIdempotent(db.app, { ...at, status: 201, body: { id: 1 } });
    await finishIdempotent(db.app, { ...at, status: 201, body: { id: 2 } });
    expect(await begin(at)).toEqual({ kind: "answered", status: 201, body: { id: 1 } });
    expect(await begin(at, "another")).toEqual({ kind: "reused" });
    expect(await begin(at, "hash", "token.create")).toEqual({ kind: "reused" });
  });

  it("is another key for another actor and for another team", async () => {
    const at = newKey();
    await begin(at);
    await finishIdempotent(db.app, { ...at, status: 201, body: null });
    const { team: other } = await addTeam(db, "other-keys");
    expect((await begin({ ...at, actor: "user:y" })).kind).toBe("go_on");
    expect((await begin({ ...at, team: other })).kind).toBe("go_on");
  });

  it("is forgotten after a day, not before", async () => {
    const [old, young] = [newKey(), newKey()];
    await begin(old);
    await begin(young);
    await db.admin.query("update idempotency_keys set created_at = now() - interval '25 hours' where key = $1", [
      old.key,
    ]);
    expect(await sweepIdempotencyKeys(db.app)).toBe(1);
    const { rows } = await db.admin.query("select key from idempotency_keys where key = any($1)", [
      [old.key, young.key],
    ]);
    expect(rows).toEqual([{ key: young.key }]);
  });
});

const input = (id: AppId, name: string, project?: string) => ({
  actor, id, team, name, project, regions: [], replicas: 1, hostnameCandidates: [`${name}.test`, `${name}-keys.test`],
}); // prettier-ignore

describe("an app", () => {
  it("is made once under one id, however often and by how many it is tried", async () => {
    const id = mintId<AppId>("app");
    const tries = await Promise.all(Array.from({ length: 6 }, () => createApp(db.app, input(id, "once"))));
    expect(tries.every((result) => result.ok && result.value.hostnames.join() === "once.test")).toBe(true);
    const { rows } = await db.admin.query("select 1 from audit where action = 'app.create' and subject = $1", [id]);
    expect(rows).toHaveLength(1);
  });

  it("takes its name and hostname from no living app, and gives both back when it is destroyed", async () => {
    const first = mintId<AppId>("app");
    await createApp(db.app, input(first, "phoenix"));
    const second = await createApp(db.app, input(mintId("app"), "phoenix"));
    expect(!second.ok && second.failure.code).toBe("name_taken");
    expect(await destroyApp(db.app, { actor, team, id: first, domainsRestUntilMs: 0 })).toBe(true);
    expect(await destroyApp(db.app, { actor, team, id: first, domainsRestUntilMs: 0 })).toBe(false);
    const third = await createApp(db.app, input(mintId("app"), "phoenix"));
    expect(third.ok && third.value.hostnames).toEqual(["phoenix.test"]);
    expect((await findApp(db.app, team, first))?.destroyedAtMs).not.toBeNull();
    const { rows } = await db.admin.query(
      "select outcome from audit where action = 'app.destroy' and subject = $1 order by id",
      [first],
    );
    expect(rows).toEqual([{ outcome: "ok" }, { outcome: "not_found" }]);
  });

  it("leaves nothing behind when no hostname is free or its project is not there", async () => {
    const { team: other } = await addTeam(db, "squatter");
    for (const hostname of ["taken.test", "taken-keys.test"]) {
      await createApp(db.app, {
        ...input(mintId("app"), hostname.slice(0, -5)),
        team: other,
        hostnameCandidates: [hostname],
      });
    }
    const id = mintId<AppId>("app");
    const refused = await createApp(db.app, input(id, "taken"));
    expect(!refused.ok && refused.failure.code).toBe("conflict");
    const homeless = await createApp(db.app, input(id, "homeless", "nowhere"));
    expect(!homeless.ok && homeless.failure.errors?.[0]?.pointer).toBe("/project");
    const { rows } = await db.admin.query("select 1 from apps where id = $1", [toUuid(id, "app")]);
    expect(rows).toEqual([]);
  });

  it("goes into the project it names", async () => {
    const project = await createProject(db.app, { actor, id: mintId("proj"), team, name: "web" });
    const made = await createApp(db.app, input(mintId("app"), "in-web", "web"));
    expect(made.ok && project.ok && made.value.project === project.value.id).toBe(true);
    expect((await createProject(db.app, { actor, id: mintId("proj"), team, name: "web" })).ok).toBe(false);
  });
});
