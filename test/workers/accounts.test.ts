// Accounts inside workerd, where they run in production: better-auth, scrypt and both of the Neon driver's wires.
import { describe, expect, inject, it } from "vitest";
import type { AppId } from "../../contracts/ids.ts";
import { connect } from "../../db/connect.ts";
import { DatabaseUnavailable } from "../../db/errors.ts";
import { mintId } from "../../db/ids.ts";
import { acceptEvents } from "../../db/queries/outbox.ts";
import { authenticate, createApiToken, revokeApiToken, signIn, signOut } from "../../workers/control/auth/index.ts";
import { password, People } from "./people.ts";

const { adapter, appUrl, authUrl } = inject("migrated");
const env = {
  DATABASE_URL_APP: appUrl,
  DATABASE_URL_AUTH: authUrl,
  NEON_ADAPTER: adapter,
  BETTER_AUTH_SECRET: "a secret of at least thirty-two characters",
  SETUP_TOKEN: "the setup token of this test",
};
const people = new People(env);
const requestWith = (bearer: string) =>
  new Request("http://berth.test/", { headers: { authorization: `Bearer ${bearer}` } });
const codeOf = async (bearer: string) => {
  const result = await authenticate(requestWith(bearer), env);
  return result.ok ? result.value.via : result.failure.code;
};

describe("in workerd", () => {
  it("a user signs up, in and out, and a session that ended opens nothing", async () => {
    const email = `${mintId("user")}@example.com`;
    const up = await people.newUser(email);
    const into = await signIn({ email, password }, people.asked());
    if (!into.ok) throw new Error("no session");
    expect(await codeOf(into.value.token)).toBe("session");
    await signOut(people.asked(into.value.token));
    expect([await codeOf(into.value.token), await codeOf(up.token)]).toEqual(["unauthenticated", "session"]);
  });

  it("an API token opens until it is revoked", async () => {
    const up = await people.newUser(`${mintId("user")}@example.com`);
    const caller = await authenticate(requestWith(up.token), env);
    if (!caller.ok) throw new Error(caller.failure.message);
    const made = await createApiToken(caller.value, { name: "ci" }, env);
    if (!made.ok) throw new Error(made.failure.message);
    expect(await codeOf(made.value.token)).toBe("api_token");
    await revokeApiToken(caller.value, made.value.id, env);
    expect(await codeOf(made.value.token)).toBe("unauthenticated");
  });

  it("the outbox's end takes events in once", async () => {
    const database = connect({ url: appUrl, adapter });
    const source = `app:${mintId<AppId>("app")}`;
    const event = {
      id: `${source}#1` as never, source, seq: 1, type: "app.scaled", version: 1, team: null, subject: "s", actor: "system",
      causeId: null, atMs: 1, data: {},
    } as const; // prettier-ignore
    for (let times = 0; times < 2; times += 1) {
      expect(await acceptEvents(database, { source, events: [event] })).toEqual({ ok: true, value: { lastSeq: 1 } });
    }
  });

  it("an absent Postgres is DatabaseUnavailable on both wires", async () => {
    const away = { ...env, NEON_ADAPTER: "127.0.0.1:1" };
    await expect(signIn({ email: "a@example.com", password }, people.asked(undefined, away))).rejects.toBeInstanceOf(
      DatabaseUnavailable,
    );
    await expect(authenticate(requestWith(`berth_${"x".repeat(43)}`), away)).rejects.toBeInstanceOf(
      DatabaseUnavailable,
    );
    // The driver's settings are the isolate's: back to where Postgres is.
    connect({ url: appUrl, adapter });
  });
});
