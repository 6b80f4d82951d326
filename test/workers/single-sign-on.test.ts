// Signing in through others: a real OpenID provider on loopback, for a team and in Google's place; and what GitHub would answer.
import { inArray } from "drizzle-orm";
import { beforeEach, describe, expect, it } from "vitest";
import type { TeamId, UserId } from "../../contracts/ids.ts";
import { listTeamsOf } from "../../db/queries/teams.ts";
import { memberships } from "../../db/schema/teams.ts";
import { answerDevice } from "../../workers/control/auth/devices.ts";
import * as auth from "../../workers/control/auth/index.ts";
import { readBearer } from "../../workers/control/auth/bearer.ts";
import { ask, authDatabase, newPerson, newTeam, type Person } from "./access-world.ts";
import { Browser, env, issuer, SECRET } from "./browser.ts";
import { ORIGIN, password, People, valueOf } from "./people.ts";

let number = 0;
const newAddress = (domain = "corp.test"): string => `p${Date.now()}-${(number += 1)}@${domain}`;
const people = new People(env);
const teamsOf = async (bearer: string): Promise<string[]> =>
  (await ask(bearer, "GET", "/v1/teams", undefined, env)).body.items.map(({ slug }: { slug: string }) => slug);
async function byProvider(email: string, provider: string): Promise<string> {
  const browser = new Browser();
  const done = await browser.get(await browser.back(`/account/sign-in/${provider}`, `${email} verified`));
  return (await browser.bearer()) ?? expect.fail(done.text);
}
/** A session as `berth login` has it, let in by this one. */
async function commandLineOf(bearer: string, user: UserId) {
  const { deviceCode, userCode } = valueOf(await auth.beginDeviceLogin(people.asked()));
  const approver = await readBearer(people.asked(bearer), env.BETTER_AUTH_SECRET);
  const { token } = approver?.kind === "session" ? approver : expect.fail("no session");
  valueOf(await answerDevice({ userCode, letIn: true, token, user }, people.asked()));
  return valueOf(await auth.askDeviceLogin({ deviceCode }, people.asked()));
}
async function byLetter(email: string): Promise<string> {
  valueOf(await auth.signUp({ email, password, name: "P" }, people.asked()));
  expect(people.letters.findLast(({ to }) => to === email)?.subject).toBe("You have an account already");
  valueOf(await auth.askPasswordReset({ email }, people.asked()));
  valueOf(await auth.finishPasswordReset({ token: people.tokenFor(email), password }, people.asked()));
  const twice = [1, 2].map(() => auth.signIn({ email, password }, people.asked()));
  return valueOf((await Promise.all(twice))[0]!).token;
}
const whoAmI = async (bearer: string | null) => ask(bearer, "GET", "/v1/whoami", undefined, env);

describe("a provider of the operator's", () => {
  it.each(["google", "github"])("signs a new person up, once its address is verified: %s", async (provider) => {
    const email = newAddress();
    const browser = new Browser();
    const back = await browser.back(`/account/sign-in/${provider}?user_code=ABCD`, `${email} verified`);
    const done = await browser.get(back);
    expect(done, done.text).toMatchObject({ status: 303, location: `${ORIGIN}/account/device?user_code=ABCD` });
    const me = await whoAmI(await browser.bearer());
    expect(me).toMatchObject({ status: 200, body: { user: { email }, teams: [{ role: "owner" }] } });
    const account = await ask(await browser.bearer(), "GET", "/v1/account", undefined, env);
    expect(account.body).toMatchObject({ waysIn: [provider], emailVerified: true });
    const unproven = new Browser();
    const refused = await unproven.get(
      await unproven.back(`/account/sign-in/${provider}`, `${newAddress()} unverified`),
    );
    expect(refused).toMatchObject({ status: 403, text: expect.stringContaining("does not say that the address") });
    expect(await unproven.bearer()).toBeNull();
  });

  it("is linked to an account with the same address only where it says that the address is verified", async () => {
    const { email } = await newPerson({ team: (await newTeam()).team, role: "owner" });
    const stranger = new Browser();
    const refused = await stranger.get(await stranger.back("/account/sign-in/google", `${email} unverified`));
    expect(refused).toMatchObject({ status: 403, text: expect.stringContaining("has this address already") });
    const owner = new Browser();
    await owner.get(await owner.back("/account/sign-in/google", `${email} verified`));
    expect((await whoAmI(await owner.bearer())).body.user.email).toBe(email);
  });

  it("is of no use with another state, without this browser's cookie, with another nonce, a false code or a second time", async () => {
    const browser = new Browser();
    const who = `${newAddress()} verified`;
    const changed = async (name: string, value: string) => {
      const url = new URL(await browser.back("/account/sign-in/google", who));
      url.searchParams.set(name, value);
      return browser.get(url.href);
    };
    const begun = "did not begin in this browser";
    expect(await changed("state", "x".repeat(32))).toMatchObject({ status: 410, text: expect.stringContaining(begun) });
    expect(await changed("code", "x".repeat(32))).toMatchObject({ text: expect.stringContaining("did not take the code") }); // prettier-ignore
    expect(await changed("iss", "https://evil.test")).toMatchObject({ text: expect.stringContaining("another provider") }); // prettier-ignore
    const elsewhere = await new Browser().get(await browser.back("/account/sign-in/google", who));
    expect(elsewhere).toMatchObject({ status: 410, text: expect.stringContaining(begun) });
    const replayed = await browser.back("/account/sign-in/google", who, (url) =>
      url.searchParams.set("nonce", "another sign-in's"),
    );
    expect(await browser.get(replayed)).toMatchObject({ text: expect.stringContaining("is not genuine") });
    const back = await browser.back("/account/sign-in/google", who);
    expect((await browser.get(back)).status).toBe(303);
    expect(await browser.get(back)).toMatchObject({ status: 410 });
    const refused = await new Browser().get("/auth/callback/google?error=access_denied&state=x");
    expect(refused.status).toBe(410);
  });

  it("that is away, or was never set up, is named on a page", async () => {
    await fetch(`${issuer}/tell?away=true`, { method: "POST" });
    const away = await new Browser().get("/account/sign-in/google");
    await fetch(`${issuer}/tell?away=false`, { method: "POST" });
    expect(away).toMatchObject({ status: 422, text: expect.stringContaining("The provider answers 503") });
    expect(await new Browser().get("/account/sign-in/gitlab")).toMatchObject({ status: 404 });
  });
});

describe("a team's own provider", () => {
  let team: TeamId;
  let slug: string;
  let owner: Person;
  beforeEach(async () => {
    ({ team, slug } = await newTeam());
    owner = await newPerson({ team, role: "owner" });
  });
  const policy = (person: Pick<Person, "bearer">, method: string, path = "", body?: unknown) =>
    ask(person.bearer, method, `/v1/sign-in-policy${path}`, body, env);
  const config = { issuer, clientId: "berth", clientSecret: SECRET };
  const set = (more: object = {}, by = owner) => policy(by, "PUT", "/single-sign-on", { ...config, ...more });
  const signOn = async (email: string, browser = new Browser()): Promise<string> => {
    const done = await browser.get(await browser.back(`/account/sign-on/${slug}`, `${email} verified`));
    return (await browser.bearer()) ?? expect.fail(done.text);
  };

  it("brings people into that team as the least they can be, and into nothing else of their own", async () => {
    expect(await set()).toMatchObject({ status: 200, body: { singleSignOn: { issuer, enforced: false } } });
    const { email, user } = await newPerson({ team: (await newTeam()).team, role: "owner" });
    const bearer = await signOn(email);
    const me = await whoAmI(bearer);
    expect(me.body, "the same person").toMatchObject({ user: { id: user }, team: { id: team, role: "viewer" } });
    expect(me.body.teams, "their other teams are not this team's to see").toHaveLength(1);
    expect(await ask(bearer, "GET", "/v1/account", undefined, env)).toMatchObject({ status: 403 });
    expect(await ask(bearer, "POST", "/v1/teams", { slug: `n-${slug}`, name: "N" }, env)).toMatchObject({
      status: 403,
    });
    const again = await signOn(newAddress());
    expect((await whoAmI(again)).body.teams, "a new person has no team of their own").toHaveLength(1);
  });

  it.each(["a password by letter", "google", "github"])(
    "makes its team nobody's own who comes in by themselves, not even once it is gone itself: %s",
    async (way) => {
      await set();
      const email = newAddress();
      const vouched = await signOn(email);
      const { id } = (await whoAmI(vouched)).body.user;
      expect(await commandLineOf(vouched, id)).toMatchObject({ session: { team: { slug } } });
      expect(await listTeamsOf(authDatabase, id), "nothing of a sign-on makes a team").toHaveLength(1);
      // Then nothing says any more where the account came from.
      if (way !== "google") await policy(owner, "DELETE", "/single-sign-on");
      const comeIn = way.startsWith("a password") ? byLetter : byProvider;
      const bearer = await comeIn(email, way);
      const { user, team: own } = (await whoAmI(bearer)).body;
      expect([user, own], "the same account, in a team of its own").toMatchObject([{ email }, { role: "owner" }]);
      expect(own.slug).not.toBe(slug);
      const { body: made } = await ask(bearer, "POST", "/v1/tokens", { name: "t", scopes: ["*"] }, env);
      expect((await whoAmI(made.token)).body.team.id, "nor do tokens go to the other").toBe(own.id);
      const named = await ask(bearer, "GET", "/v1/whoami", undefined, env, { "berth-team": slug });
      expect(named.body.team, "which is reached by its name").toMatchObject({ id: team, role: "viewer" });
      expect(await teamsOf(await comeIn(email, way)), "and none is made a second time").toEqual([slug, own.slug]);
      if (way === "google") expect(await teamsOf(await signOn(email)), "and by its sign-on").toEqual([slug]);
    },
  );

  it("gives the person the team once they accept an invitation to it, and says what to do where they have none", async () => {
    const [person, other] = [await newPerson({ team, role: "viewer" }), await newPerson({ team, role: "viewer" })];
    await authDatabase.run({ kind: "auth" }, (statements) =>
      statements
        .update(memberships)
        .set({ bySignOn: true })
        .where(inArray(memberships.userId, [person.user, other.user])),
    );
    const none = await whoAmI(person.bearer);
    expect(none).toMatchObject({ status: 404, text: expect.stringContaining("sign in again, which makes you one") });
    expect(await commandLineOf(other.bearer, other.user)).toMatchObject({ session: { team: { role: "owner" } } });
    const invitation = { email: person.email, role: "developer" };
    const { body: sent } = await ask(owner.bearer, "POST", "/v1/invitations", invitation, env);
    const body = { token: sent.token };
    expect(await ask(person.bearer, "POST", "/v1/invitations/accept", body, env, { "berth-team": slug })).toMatchObject(
      { status: 200 },
    );
    expect((await whoAmI(person.bearer)).body.team).toMatchObject({ id: team, role: "viewer" });
  });

  it("never speaks for an operator", async () => {
    await set();
    const operator = await newPerson({ team, role: "viewer", operator: true });
    const browser = new Browser();
    const refused = await browser.get(await browser.back(`/account/sign-on/${slug}`, `${operator.email} verified`));
    expect(refused).toMatchObject({ status: 403, text: expect.stringContaining("signs in by themselves") });
    expect(await browser.bearer()).toBeNull();
  });

  it("signs on only addresses of the team's domains, where it names some", async () => {
    await set({ domains: ["Corp.test"] });
    await signOn(newAddress("corp.test"));
    const browser = new Browser();
    const who = `${newAddress("other.test")} verified`;
    const refused = await browser.get(await browser.back(`/account/sign-on/${slug}`, who));
    expect(refused).toMatchObject({ status: 403, text: expect.stringContaining("none of the team") });
  });

  it("is the only way in once that is enforced; an owner with a second factor keeps another", async () => {
    const member = await newPerson({ team, role: "developer" });
    await set({ enforced: true });
    const list = (bearer: string) => ask(bearer, "GET", "/v1/apps", undefined, env);
    expect(await list(member.bearer)).toMatchObject({ status: 403, text: expect.stringContaining(`sign-on/${slug}`) });
    expect(await list(await signOn(member.email))).toMatchObject({ status: 200 });
    expect(await list(owner.bearer)).toMatchObject({ status: 403, text: expect.stringContaining("second factor") });
    const sure = await newPerson({ team, role: "owner", secondFactor: true });
    expect(await list(sure.bearer)).toMatchObject({ status: 200 });
    expect(await policy(sure, "DELETE", "/single-sign-on")).toMatchObject({ status: 204 });
    expect(await list(member.bearer)).toMatchObject({ status: 200 });
  });

  it("is an owner's to set, in a session; its sessions end with it, and its secret is shown to nobody", async () => {
    const admin = await newPerson({ team, role: "admin" });
    expect(await set({}, admin)).toMatchObject({ status: 403 });
    const { body: made } = await ask(owner.bearer, "POST", "/v1/tokens", { name: "t", scopes: ["*"] }, env);
    expect(await set({}, { ...owner, bearer: made.token })).toMatchObject({ status: 403 });
    await set();
    const bearer = await signOn(newAddress());
    const read = await policy(admin, "GET");
    expect(read.body.singleSignOn).toMatchObject({ issuer, signInUrl: `${ORIGIN}/account/sign-on/${slug}` });
    const audit = await ask(owner.bearer, "GET", "/v1/audit", undefined, env);
    expect(`${read.text}${audit.text}`).not.toContain(SECRET);
    expect(audit.text).toContain("single_sign_on.put");
    await policy(owner, "DELETE", "/single-sign-on");
    expect(await whoAmI(bearer)).toMatchObject({ status: 401 });
  });

  it("that is none is refused in words, where it was named", async () => {
    for (const wrong of [`${issuer}/elsewhere`, "http://127.0.0.1:9"])
      expect(await set({ issuer: wrong })).toMatchObject({
        ...{ status: 422, body: { errors: [{ pointer: "/issuer", rule: "openid_provider" }] } },
      });
    expect(await set({ issuer: "file:///etc/passwd" })).toMatchObject({ status: 400 });
    const inside = await set({ issuer: "https://169.254.169.254" });
    expect(inside, "what a user names is asked through the guard").toMatchObject({ status: 422 });
    expect(inside.text).toContain("may not be asked");
  });
});

describe("a second factor that a team requires", () => {
  it("shuts sessions and API tokens without one out from the next request on, but not from getting one", async () => {
    const { team } = await newTeam();
    const sure = await newPerson({ team, role: "owner", secondFactor: true });
    const member = await newPerson({ team, role: "developer" });
    const { body: made } = await ask(member.bearer, "POST", "/v1/tokens", { name: "t", scopes: ["*"] }, env);
    const apps = async (bearer: string) => (await ask(bearer, "GET", "/v1/apps", undefined, env)).status;
    const put = (by: Person, required: boolean) =>
      ask(by.bearer, "PUT", "/v1/sign-in-policy/second-factor", { required }, env);
    expect(await put(member, true)).toMatchObject({ status: 403 });
    const unsure = await newPerson({ team, role: "owner" });
    expect(await put(unsure, true), "nobody shuts themselves out").toMatchObject({ status: 409 });
    expect(await apps(unsure.bearer)).toBe(200);
    expect(await put(sure, true)).toMatchObject({ status: 200, body: { secondFactorRequired: true } });
    expect([await apps(sure.bearer), await apps(member.bearer), await apps(made.token)]).toEqual([200, 401, 401]);
    expect(await ask(member.bearer, "GET", "/v1/account", undefined, env)).toMatchObject({ status: 200 });
    const audit = await ask(sure.bearer, "GET", "/v1/audit", undefined, env);
    const line = audit.body.items.find(({ action }: { action: string }) => action === "second_factor.require");
    expect(line).toMatchObject({ before: { required: false }, after: { required: true }, outcome: "ok" });
    await put(sure, false);
    expect(await apps(made.token)).toBe(200);
  });
});
