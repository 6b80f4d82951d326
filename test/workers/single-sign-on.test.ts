// Signing in through others: a real OpenID provider on loopback, for a team and in Google's place; and what GitHub would answer.
import { createExecutionContext, waitOnExecutionContext } from "cloudflare:test";
import { beforeEach, describe, expect, inject, it } from "vitest";
import type { TeamId } from "../../contracts/ids.ts";
import { app } from "../../workers/control/app.ts";
import { sessionBearer } from "../../workers/control/auth/bearer.ts";
import type { ControlEnv } from "../../workers/control/env.ts";
import { ask, env as plainEnv, newPerson, newTeam, type Person } from "./access-world.ts";

const { issuer, githubUrl } = inject("outside");
const ORIGIN = "https://berth.test";
const SECRET = "a secret of at least thirty-two letters";
const env: ControlEnv = {
  ...{ ...plainEnv, CONTROL_ORIGIN: ORIGIN, SIGN_UP: "open", OUTBOUND_ALLOW: "127.0.0.0/8" },
  ...{ GOOGLE_CLIENT_ID: "berth", GOOGLE_CLIENT_SECRET: SECRET, GOOGLE_URL: issuer },
  ...{ GITHUB_CLIENT_ID: "berth", GITHUB_CLIENT_SECRET: SECRET, GITHUB_URL: githubUrl },
};

/** A browser of one person: cookies of each origin, and no redirect followed by itself. */
class Browser {
  readonly #jars = new Map<string, Map<string, string>>();

  jar(origin: string): Map<string, string> {
    return this.#jars.get(origin) ?? this.#jars.set(origin, new Map()).get(origin)!;
  }

  async get(address: string): Promise<{ status: number; location: string | null; text: string }> {
    const url = new URL(address, ORIGIN);
    const jar = this.jar(url.origin);
    const headers = {
      cookie: [...jar].map(([name, value]) => `${name}=${value}`).join("; "),
      "cf-connecting-ip": "192.0.2.9",
    };
    const answer = await (url.origin === ORIGIN
      ? here(new Request(url, { headers, redirect: "manual" }))
      : fetch(url, { headers, redirect: "manual" }));
    for (const cookie of answer.headers.getSetCookie()) {
      const [pair = ""] = cookie.split(";", 1);
      const at = pair.indexOf("=");
      jar.set(pair.slice(0, at), pair.slice(at + 1));
    }
    const location = answer.headers.get("location");
    return { status: answer.status, location: location && new URL(location, url).href, text: await answer.text() };
  }

  /** To the provider, as `who`, and up to the address that it sends back to. */
  async back(path: string, who: string, change: (url: URL) => void = () => {}): Promise<string> {
    const begun = await this.get(path);
    const url = new URL(begun.location ?? expect.fail(`${begun.status}: ${begun.text}`));
    url.searchParams.set("login_hint", who);
    url.searchParams.set("login", who);
    change(url);
    let { location } = await this.get(url.href);
    while (location !== null && !location.startsWith(ORIGIN)) ({ location } = await this.get(location));
    return location ?? expect.fail("the provider sent nobody back");
  }

  /** The session that the cookies of here hold, as the API takes it; null: none. */
  async bearer(): Promise<string | null> {
    const cookie = this.jar(ORIGIN).get("__Host-berth.session_token");
    if (!cookie) return null;
    const token = decodeURIComponent(cookie).split(".")[0] ?? "";
    return sessionBearer(token, env.BETTER_AUTH_SECRET);
  }
}

async function here(request: Request): Promise<Response> {
  const context = createExecutionContext();
  const answer = await app.fetch(request, env, context);
  const whole = new Response(await answer.arrayBuffer(), answer);
  await waitOnExecutionContext(context);
  return whole;
}

let number = 0;
const newAddress = (domain = "corp.test"): string => `p${Date.now()}-${(number += 1)}@${domain}`;
const whoAmI = async (bearer: string | null) => ask(bearer, "GET", "/v1/whoami", undefined, env);

describe("a provider of the operator's", () => {
  it.each(["google", "github"])("signs a new person up, once its address is verified: %s", async (provider) => {
    const email = newAddress();
    const browser = new Browser();
    const back = await browser.back(`/account/sign-in/${provider}?user_code=ABCD`, `${email} verified`);
    const done = await browser.get(back);
    expect(done, done.text).toMatchObject({ status: 303, location: `${ORIGIN}/account/device?user_code=ABCD` });
    expect(await whoAmI(await browser.bearer())).toMatchObject({ status: 200, body: { user: { email } } });
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
