// Break-glass: an operator enters a team for a reason and a while; what that opens, who sees it, and what ends it.
import { beforeAll, describe, expect, it } from "vitest";
import type { OperatorEntryId, TeamId } from "../../contracts/ids.ts";
import { AuditRecord, OperatorEntry } from "../../contracts/teams.ts";
import { mintId } from "../../db/ids.ts";
import { users } from "../../db/schema/auth.ts";
import { operatorEntries } from "../../db/schema/teams.ts";
import { eq } from "drizzle-orm";
import { enterTeam } from "../../workers/control/auth/index.ts";
import type { Caller } from "../../workers/control/auth/caller.ts";
import type { Letter } from "../../workers/control/mail/mailer.ts";
import { ask, authDatabase, env, newPerson, newTeam, type Person } from "./access-world.ts";

const REASON = "their deploys fail, ticket 4711";
interface World {
  readonly team: TeamId;
  readonly slug: string;
  readonly owner: Person;
  readonly operator: Person;
  readonly app: string;
}

async function world(): Promise<World> {
  const { team, slug } = await newTeam();
  const owner = await newPerson({ team, role: "owner" });
  const operator = await newPerson({ ...(await newTeam()), role: "viewer", operator: true, secondFactor: true });
  const made = await ask(owner.bearer, "POST", "/v1/apps", { name: `a-${slug}`, replicas: 1 });
  return { team, slug, owner, operator, app: made.body.id };
}

const inTeam = ({ slug }: World, who: Person, method: string, path: string, body?: unknown) =>
  ask(who.bearer, method, path, body, env, { "berth-team": slug });
const enter = ({ slug, operator }: World, body: object = {}, by = operator.bearer) =>
  ask(by, "POST", `/v1/teams/${slug}/operator-entry`, { reason: REASON, ...body });
/** query: the operators' audit is of all test files, which fill its pages while this one looks. */
const audit = async ({ team }: World, who: Person, path: string, query = ""): Promise<AuditRecord[]> => {
  const { text, body } = await ask(who.bearer, "GET", `${path}?limit=100&${query}`);
  const all = (body?.items ?? expect.fail(text)) as unknown[];
  return all.map((item) => AuditRecord.parse(item)).filter((entry) => entry.team === team || entry.subject === team);
};

describe("an operator", () => {
  let of: World;
  beforeAll(async () => {
    of = await world();
  });

  it("sees nothing of a team before it was entered, and says who, why and until when", async () => {
    expect(await inTeam(of, of.operator, "GET", "/v1/apps")).toMatchObject({ status: 404 });
    expect(await enter(of, { reason: "because" })).toMatchObject({
      status: 400,
      text: expect.stringContaining("/reason"),
    });
    expect(await enter(of, { role: "owner" })).toMatchObject({ status: 400, text: expect.stringContaining("/role") });
    expect(await enter(of, { minutes: 481 })).toMatchObject({ status: 400, text: expect.stringContaining("/minutes") });
    const entered = await enter(of, { minutes: 30 });
    expect(entered.status, entered.text).toBe(201);
    const entry = OperatorEntry.parse(entered.body);
    expect(entry).toMatchObject({ team: of.team, user: of.operator.user, email: of.operator.email, role: "viewer" });
    expect(Math.abs(entry.endsAtMs - Date.now() - 30 * 60_000)).toBeLessThan(20_000);
    expect(await enter(of)).toMatchObject({ status: 409, text: expect.stringContaining("already") });
  });

  it("then sees as a viewer does, and changes nothing", async () => {
    const { body } = await inTeam(of, of.operator, "GET", "/v1/apps");
    expect((body.items as { id: string }[]).map(({ id }) => id)).toEqual([of.app]);
    const change = await inTeam(of, of.operator, "PATCH", `/v1/apps/${of.app}`, { replicas: 2 });
    expect(change.status).toBe(403);
    expect(change.body.detail, "and what to do about it").toBe(
      `You entered this team as viewer, which does not allow app:update. Leave (berth operators leave ${of.slug}) and enter it with --role developer, if that is enough.`,
    );
    expect(await inTeam(of, of.operator, "POST", "/v1/tokens", { name: "later" })).toMatchObject({ status: 403 });
  });

  it("is in the team's audit with all that was done and read, and in the operators' with the reason", async () => {
    const actor = `operator:${of.operator.user}`;
    const seen = (await audit(of, of.owner, "/v1/audit")).filter((entry) => entry.actor === actor);
    expect(seen.map(({ action, outcome }) => `${action} ${outcome}`)).toEqual([
      ...["token.create forbidden", "app.update forbidden", "app.read ok", "operator_entry.open ok"],
    ]);
    const told = { reason: REASON, operator: of.operator.email, role: "viewer" };
    expect(seen.at(-1)?.data).toMatchObject(told);
    const theirs = await audit(of, of.operator, "/v1/operator/audit", `actor=user:${of.operator.user}`);
    expect(theirs.filter(({ action }) => action === "operator_entry.open")).toMatchObject([
      { actor: `user:${of.operator.user}`, outcome: "ok", data: told },
    ]);
  });

  it("leaves, and sees nothing any more; the team keeps who was there", async () => {
    const leave = () => ask(of.operator.bearer, "DELETE", `/v1/teams/${of.slug}/operator-entry`);
    expect(await leave()).toMatchObject({ status: 204 });
    expect(await leave()).toMatchObject({ status: 404 });
    expect(await inTeam(of, of.operator, "GET", "/v1/apps")).toMatchObject({ status: 404 });
    const { body } = await ask(of.owner.bearer, "GET", "/v1/operator-entries");
    expect(body.items).toMatchObject([
      { email: of.operator.email, reason: REASON, endedBy: `operator:${of.operator.user}` },
    ]);
  });
});

describe("an entry", () => {
  it("is ended by the team, from the next request on, and may be made anew", async () => {
    const of = await world();
    const { body } = await enter(of, { role: "developer" });
    expect(await inTeam(of, of.operator, "PATCH", `/v1/apps/${of.app}`, { replicas: 2 })).toMatchObject({
      status: 202,
    });
    const byOperator = await inTeam(of, of.operator, "POST", "/v1/tokens", { name: "later" });
    expect(byOperator).toMatchObject({ status: 403, text: expect.stringContaining("no tokens") });
    const more = await inTeam(of, of.operator, "POST", "/v1/invitations", { email: "more@example.com" });
    expect(more).toMatchObject({ status: 403, text: expect.stringContaining("an owner of the team has to do it") });
    expect(await inTeam(of, of.operator, "DELETE", `/v1/operator-entries/${body.id}`)).toMatchObject({ status: 403 });
    expect(await ask(of.owner.bearer, "DELETE", `/v1/operator-entries/${body.id}`)).toMatchObject({ status: 204 });
    expect(await inTeam(of, of.operator, "GET", "/v1/apps")).toMatchObject({ status: 404 });
    expect(await enter(of)).toMatchObject({ status: 201 });
  });

  it("is over when its time is, and another one can be opened", async () => {
    const of = await world();
    const { team, operator } = of;
    const before = (minutes: number) => Date.now() - minutes * 60_000;
    const row = { id: mintId<OperatorEntryId>("entry"), teamId: team, userId: operator.user, email: operator.email };
    const times = { createdAtMs: before(61), endsAtMs: before(1) };
    await authDatabase.run({ kind: "auth" }, (statements) =>
      statements.insert(operatorEntries).values({ ...row, ...times, role: "developer", reason: REASON }),
    );
    expect(await inTeam(of, operator, "GET", "/v1/apps")).toMatchObject({ status: 404 });
    expect(await enter(of)).toMatchObject({ status: 201 });
    const { body } = await ask(of.owner.bearer, "GET", "/v1/operator-entries");
    expect(body.items).toMatchObject([
      { endedAtMs: null },
      { id: row.id, endedAtMs: times.endsAtMs, endedBy: "system" },
    ]);
  });

  it("ends with the operator's right", async () => {
    const of = await world();
    expect(await enter(of)).toMatchObject({ status: 201 });
    expect(await inTeam(of, of.operator, "GET", "/v1/apps")).toMatchObject({ status: 200 });
    await authDatabase.run({ kind: "auth" }, (statements) =>
      statements.update(users).set({ operator: false }).where(eq(users.id, of.operator.user)),
    );
    expect(await inTeam(of, of.operator, "GET", "/v1/apps")).toMatchObject({ status: 404 });
  });

  it("is shut while the operator has no second factor: a password alone goes on with nothing", async () => {
    const of = await world();
    expect(await enter(of)).toMatchObject({ status: 201 });
    const factor = (on: boolean) =>
      authDatabase.run({ kind: "auth" }, (statements) =>
        statements.update(users).set({ twoFactorEnabled: on }).where(eq(users.id, of.operator.user)),
      );
    await factor(false);
    expect(await inTeam(of, of.operator, "GET", "/v1/apps")).toMatchObject({ status: 404 });
    expect(await ask(of.operator.bearer, "GET", "/v1/whoami"), "their own goes on").toMatchObject({ status: 200 });
    await factor(true);
    expect(await inTeam(of, of.operator, "GET", "/v1/apps")).toMatchObject({ status: 200 });
  });

  it("is one, however many are asked for at once", async () => {
    const of = await world();
    const all = await Promise.all(Array.from({ length: 8 }, () => enter(of)));
    expect(all.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([
      201,
      ...Array.from({ length: 7 }, () => 409),
    ]);
  });

  it("opens to nobody else: no member, no token, nobody without a second factor, no operator who is a member", async () => {
    const of = await world();
    expect(await enter(of, {}, of.owner.bearer)).toMatchObject({ status: 403 });
    const { body: made } = await ask(of.operator.bearer, "POST", "/v1/tokens", { name: "t" });
    expect(await enter(of, {}, made.token)).toMatchObject({ status: 403, text: expect.stringContaining("sign in") });
    const plain = await newPerson({ ...(await newTeam()), role: "viewer", operator: true });
    expect(await enter(of, {}, plain.bearer)).toMatchObject({
      status: 409,
      text: expect.stringContaining("second factor"),
    });
    const member = await newPerson({ team: of.team, role: "viewer", operator: true, secondFactor: true });
    expect(await enter(of, {}, member.bearer)).toMatchObject({ status: 409, text: expect.stringContaining("member") });
    const elsewhere = await ask(of.operator.bearer, "POST", "/v1/teams/nobodys-team/operator-entry", {
      reason: REASON,
    });
    expect(elsewhere).toMatchObject({ status: 404 });
  });

  it("is told to the team's owners by letter, without a line of its own making in the header", async () => {
    const of = await world();
    const sent: Letter[] = [];
    const { user, email } = of.operator;
    const by = { user: { id: user, email }, actor: `user:${user}` } as unknown as Caller;
    const asked = { env, headers: new Headers(), post: (letters: readonly Letter[]) => void sent.push(...letters) };
    const input = { role: "viewer", reason: "look\nSubject: you won", minutes: 60 } as const;
    expect(await enterTeam(of.team, input, by, asked)).toMatchObject({ ok: true });
    expect(sent.map(({ to, subject }) => [to, subject])).toEqual([[of.owner.email, "An operator entered your team"]]);
    expect(sent[0]?.text).toContain(`${email}) entered the team "T" as viewer`);
    expect(sent[0]?.text).toContain("look Subject: you won");
  });
});
