// Accounts, sessions, teams and API tokens through better-auth on the real database.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Session } from "../../contracts/api.ts";
import { mintId, toUuid } from "../../db/ids.ts";
import { sweepSessions } from "../../db/queries/sessions.ts";
import {
  authenticate,
  createApiToken,
  createTeam,
  listApiTokens,
  listTeams,
  revokeApiToken,
  setup,
  signIn,
  signOut,
  signUp,
  type Caller,
} from "../../workers/control/auth/index.ts";
import { codeOf, password, People, valueOf } from "../workers/people.ts";
import { testDatabase, type TestDatabase } from "./database.ts";

let db: TestDatabase;
let people: People;
beforeAll(async () => {
  db = await testDatabase();
  people = new People(db.env);
});
afterAll(() => db.close());

const requestWith = (bearer: string, headers: Record<string, string> = {}) =>
  new Request("http://berth.test/", { headers: { authorization: `Bearer ${bearer}`, ...headers } });
const newUser = (email: string): Promise<Session> => people.newUser(email);
const callerOf = async (bearer: string): Promise<Caller> => valueOf(await authenticate(requestWith(bearer), db.env));

describe("signing up", () => {
  it("makes a user who owns a team of their own, with a session that is one", async () => {
    const session = await newUser("ann.smith@example.com");
    expect(session.team).toMatchObject({ slug: "ann-smith", role: "owner" });
    expect(session.expiresAtMs).toBeGreaterThan(Date.now());
    const caller = await callerOf(session.token);
    expect(caller).toMatchObject({ via: "session", operator: false, actor: `user:${session.user.id}` });
    expect(caller.subject.role).toEqual({ kind: "built_in", name: "owner" });
    expect(caller.team).toEqual(session.team);
  });

  it("gives two users whose addresses begin alike two teams", async () => {
    const [one, other] = [await newUser("bob@one.test"), await newUser("bob@two.test")];
    expect(one.team.slug).toBe("bob");
    expect(other.team.slug).toMatch(/^bob-[a-z0-9]{4}$/);
  });

  it("makes one account of an address, in any case of letters, when ten try at once, and answers all of them alike", async () => {
    const tries = await Promise.all(
      Array.from({ length: 10 }, () => signUp({ email: "dave@example.com", password, name: "D" }, people.asked())),
    );
    expect(tries.map(codeOf)).toEqual(Array(10).fill("ok"));
    const again = await signUp({ email: "DAVE@example.com", password: "another password", name: "D" }, people.asked());
    expect(again).toEqual(tries[0]);
    const { rows } = await db.admin.query(
      `select (select count(*)::int from users where email = 'dave@example.com') as users,
         (select count(*)::int from teams where name = 'D') as teams`,
    );
    expect(rows).toEqual([{ users: 1, teams: 1 }]);
  });

  it("never stores the password", async () => {
    await newUser("erin@example.com");
    const { rows } = await db.admin.query(
      "select a::text || u::text as row from accounts a join users u on u.id = a.user_id",
    );
    expect(rows.length).toBeGreaterThan(0);
    expect(rows.filter((row: { row: string }) => row.row.includes(password))).toEqual([]);
  });
});

describe("signing in and out", () => {
  it("opens a session for the right password alone, and says the same of a wrong one and an unknown address", async () => {
    await newUser("frank@example.com");
    const right = await signIn({ email: "frank@example.com", password }, people.asked());
    const wrong = await signIn({ email: "frank@example.com", password: "wrong password" }, people.asked());
    const nobody = await signIn({ email: "nobody@example.com", password }, people.asked());
    expect([codeOf(right), codeOf(wrong), codeOf(nobody)]).toEqual(["ok", "unauthenticated", "unauthenticated"]);
    expect(wrong).toEqual(nobody);
  });

  it("ends at once when signed out, that session alone, and may be repeated", async () => {
    const one = await newUser("grace@example.com");
    const other = valueOf(await signIn({ email: "grace@example.com", password }, people.asked()));
    await signOut(people.asked(one.token));
    expect(codeOf(await signOut(people.asked(one.token)))).toBe("ok");
    expect(codeOf(await authenticate(requestWith(one.token), db.env))).toBe("unauthenticated");
    expect(codeOf(await authenticate(requestWith(other.token), db.env))).toBe("ok");
  });

  it("forgets the sessions that expired, and no others", async () => {
    const [over, lives] = [await newUser("gone@example.com"), await newUser("here@example.com")];
    const expire = "update sessions set expires_at = now() - interval '1 second' where user_id = $1";
    await db.admin.query(expire, [toUuid(over.user.id, "user")]);
    expect(await sweepSessions(db.auth)).toBe(1);
    expect(await sweepSessions(db.auth)).toBe(0);
    expect(codeOf(await authenticate(requestWith(lives.token), db.env))).toBe("ok");
  });

  it("refuses a bearer that is expired, forged, cut, made of a stored token, or not there", async () => {
    const { token, user } = await newUser("heidi@example.com");
    const [body = "", signature = ""] = token.split(".");
    const { rows } = await db.admin.query("select token from sessions where user_id = $1", [toUuid(user.id, "user")]);
    const flipped = `${signature[0] === "A" ? "B" : "A"}${signature.slice(1)}`;
    const stored = rows[0].token as string;
    for (const forged of [
      `${body}.${flipped}`,
      body,
      `${body}.`,
      stored,
      `berth_session_${stored}`,
      `berth_${stored}`,
      "x",
    ]) {
      expect(codeOf(await authenticate(requestWith(forged), db.env)), forged).toBe("unauthenticated");
    }
    expect(codeOf(await authenticate(new Request("http://berth.test/"), db.env))).toBe("unauthenticated");
    await db.admin.query("update sessions set expires_at = now() - interval '1 second' where token = $1", [stored]);
    expect(codeOf(await authenticate(requestWith(token), db.env))).toBe("unauthenticated");
  });
});

describe("teams", () => {
  it("are picked by slug or id in a header, and only by their members", async () => {
    const ivan = await newUser("ivan@example.com");
    const judy = await newUser("judy@example.com");
    const team = valueOf(await createTeam(await callerOf(ivan.token), { slug: "acme", name: "Acme" }, db.env));
    for (const name of ["acme", team.id]) {
      const caller = valueOf(await authenticate(requestWith(ivan.token, { "berth-team": name }), db.env));
      expect(caller.team).toEqual(team);
      expect(codeOf(await authenticate(requestWith(judy.token, { "berth-team": name }), db.env))).toBe("not_found");
    }
    expect((await callerOf(ivan.token)).team.id).toBe(ivan.team.id);
    expect(valueOf(await listTeams(await callerOf(ivan.token), db.env)).map(({ slug }) => slug)).toEqual([
      "ivan",
      "acme",
    ]);
  });

  it("have a slug that nobody else has, and are made once under one id", async () => {
    const caller = await callerOf((await newUser("karl@example.com")).token);
    const id = mintId<Caller["team"]["id"]>("team");
    const first = await createTeam(caller, { slug: "globex", name: "Globex" }, db.env, { id });
    expect(await createTeam(caller, { slug: "globex", name: "Globex" }, db.env, { id })).toEqual(first);
    expect(codeOf(await createTeam(caller, { slug: "globex", name: "Globex" }, db.env))).toBe("name_taken");
  });
});

describe("API tokens", () => {
  it("act for their maker in one team until revoked, from that moment on not", async () => {
    const session = await newUser("lena@example.com");
    const caller = await callerOf(session.token);
    const made = valueOf(await createApiToken(caller, { name: "ci" }, db.env));
    expect(made.token).toMatch(/^berth_[A-Za-z0-9_-]{43}$/);
    const asToken = await callerOf(made.token);
    expect(asToken).toMatchObject({ via: "api_token", token: made.id, actor: `token:${made.id}`, team: session.team });
    const listed = valueOf(await listApiTokens(caller, { limit: 10 }, db.env)).items;
    expect(listed.map(({ id, name, lastUsedAtMs }) => ({ id, name, used: lastUsedAtMs !== null }))).toEqual([
      { id: made.id, name: "ci", used: true },
    ]);
    expect(JSON.stringify(listed)).not.toContain(made.token);
    expect(codeOf(await revokeApiToken(caller, made.id, db.env))).toBe("ok");
    expect(codeOf(await authenticate(requestWith(made.token), db.env))).toBe("unauthenticated");
    expect(codeOf(await revokeApiToken(caller, made.id, db.env))).toBe("not_found");
  });

  it("are stored as their hash", async () => {
    const caller = await callerOf((await newUser("mona@example.com")).token);
    const { token } = valueOf(await createApiToken(caller, { name: "ci" }, db.env));
    const { rows } = await db.admin.query("select t::text as row from api_tokens t");
    expect(rows.filter((row: { row: string }) => row.row.includes(token.slice("berth_".length + 6)))).toEqual([]);
  });

  it("fail once they expire, and once their maker left the team", async () => {
    const session = await newUser("nina@example.com");
    const caller = await callerOf(session.token);
    const expiring = valueOf(await createApiToken(caller, { name: "short", expiresInDays: 1 }, db.env));
    const lasting = valueOf(await createApiToken(caller, { name: "long" }, db.env));
    expect(codeOf(await authenticate(requestWith(expiring.token), db.env))).toBe("ok");
    await db.admin.query("update api_tokens set expires_at = now() where id = $1", [toUuid(expiring.id, "tok")]);
    expect(codeOf(await authenticate(requestWith(expiring.token), db.env))).toBe("unauthenticated");
    await db.admin.query("delete from memberships where user_id = $1", [toUuid(session.user.id, "user")]);
    expect(codeOf(await authenticate(requestWith(lasting.token), db.env))).toBe("unauthenticated");
  });

  it("may neither be pointed at another team nor found one, and a member revokes only their own", async () => {
    const owner = await newUser("olga@example.com");
    const caller = await callerOf(owner.token);
    const made = valueOf(await createApiToken(caller, { name: "ci" }, db.env));
    expect(codeOf(await authenticate(requestWith(made.token, { "berth-team": "acme" }), db.env))).toBe("not_found");
    expect(codeOf(await createTeam(await callerOf(made.token), { slug: "nope", name: "N" }, db.env))).toBe("forbidden");
    const member: Caller = { ...caller, user: { ...caller.user, id: mintId("user") } };
    expect(codeOf(await revokeApiToken(member, made.id, db.env, { own: true }))).toBe("not_found");
  });
});

describe("setting up", () => {
  it("makes one operator, with the right token, however many try at once", async () => {
    const attempt = (email: string, setupToken = db.env.SETUP_TOKEN) =>
      setup({ setupToken, email, password }, people.asked());
    expect(codeOf(await attempt("op@example.com", "not the setup token"))).toBe("forbidden");
    const tries = await Promise.all(
      ["op1@example.com", "op2@example.com", "op3@example.com"].map((email) => attempt(email)),
    );
    expect(tries.map(codeOf).toSorted()).toEqual(["conflict", "conflict", "ok"]);
    const [session] = tries.flatMap((result) => (result.ok ? [result.value] : []));
    expect(session && (await callerOf(session.token)).operator).toBe(true);
    expect(codeOf(await attempt("op4@example.com"))).toBe("conflict");
  });
});
