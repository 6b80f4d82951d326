// How often somebody may be wrong beyond the sign-in itself: with a stolen session, and in a browser that its owner signed in with before.
import { createExecutionContext, evictDurableObject, waitOnExecutionContext } from "cloudflare:test";
import { expect, it } from "vitest";
import { app } from "../../workers/control/app.ts";
import { ask, env as plain, newPerson, newTeam } from "./access-world.ts";
import { password, People } from "./people.ts";

const ORIGIN = "https://berth.test";
const env = { ...plain, CONTROL_ORIGIN: ORIGIN };
const people = new People(env);

async function signIn(email: string, given: string, from: string, cookie = ""): Promise<Response> {
  const context = createExecutionContext();
  const headers = {
    ...{ "content-type": "application/x-www-form-urlencoded", origin: ORIGIN, cookie },
    "cf-connecting-ip": from,
  };
  const body = new URLSearchParams({ email, password: given }).toString();
  const request = new Request(`${ORIGIN}/account/sign-in`, { method: "POST", headers, body, redirect: "manual" });
  const answer = await app.fetch(request, env, context);
  await waitOnExecutionContext(context);
  return answer;
}

it("a session is no place to try out passwords: the sixth is not looked at, over an eviction of whoever counts", async () => {
  const { bearer } = await newPerson({ team: (await newTeam()).team, role: "owner" });
  const { email } = await people.newUser(`${crypto.randomUUID()}@example.com`).then(({ user }) => user);
  const { body } = await ask(null, "POST", "/v1/sign-in", { email, password }, env);
  const change = (by: string) =>
    ask(by, "POST", "/v1/account/password", { password: "not this one", newPassword: "a few words of mine" }, env);
  for (let wrong = 0; wrong < 5; wrong += 1) expect((await change(body.token)).status).toBe(401);
  const hash = Array.from(
    new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(email))),
    (byte) => byte.toString(16).padStart(2, "0"),
  ).join("");
  await evictDurableObject(env.RATE_LIMIT.getByName(`sign-in:account:${hash}`) as never);
  expect((await change(body.token)).status).toBe(429);
  expect((await ask(bearer, "GET", "/v1/whoami", undefined, env)).status, "others go on").toBe(200);
});

it("a browser that its owner signed in with before waits for nobody's guesses, from whatever address it comes", async () => {
  const { email } = (await people.newUser(`${crypto.randomUUID()}@example.com`)).user;
  const first = await signIn(email, password, "198.51.100.7");
  expect(first.status).toBe(303);
  const device = first.headers.getSetCookie().find((cookie) => cookie.startsWith("__Host-berth.device=")) ?? "";
  expect(device).toMatch(/HttpOnly; Secure; SameSite=Lax/);
  for (let n = 0; n < 5; n += 1)
    expect((await signIn(email, "not the password", `198.51.100.${20 + n}`)).status).toBe(401);
  const made = `__Host-berth.device=${"0".repeat(64)}`;
  const beganMs = performance.now();
  expect((await signIn(email, password, "198.51.100.50", device.split(";")[0])).status).toBe(303);
  const ownMs = performance.now() - beganMs;
  expect((await signIn(email, password, "198.51.100.51", made)).status).toBe(303);
  expect(performance.now() - beganMs - ownMs, "one that is made up waits its turn").toBeGreaterThan(1_900);
});

it("a password that everybody guesses is refused where it is chosen, with the place", async () => {
  const { user, token } = await people.newUser(`${crypto.randomUUID()}@example.com`);
  const chosen = { password, newPassword: "basketball2024" };
  const changed = await ask(token, "POST", "/v1/account/password", chosen, env);
  expect(changed).toMatchObject({
    status: 400,
    body: { errors: [{ pointer: "/newPassword", rule: "not_guessable" }] },
  });
  const policy = { ...env, SIGN_UP: "open", MAIL_URL: "http://mail.invalid" };
  const own = { email: "ann.miller@example.com", password: "ann.miller99", name: "Ann" };
  const up = await ask(null, "POST", "/v1/sign-up", own, policy);
  expect(up).toMatchObject({ status: 400, body: { errors: [{ pointer: "/password", rule: "not_guessable" }] } });
  expect((await ask(null, "POST", "/v1/sign-in", { email: user.email, password }, env)).status).toBe(201);
});
