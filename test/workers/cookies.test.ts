// The cookies of the pages, with apps of strangers on hosts below the same domain: only this host sets them, and nothing else is read.
import { createExecutionContext, waitOnExecutionContext } from "cloudflare:test";
import { beforeAll, expect, inject, it } from "vitest";
import { app } from "../../workers/control/app.ts";
import type { ControlEnv } from "../../workers/control/env.ts";
import { env as plain } from "./access-world.ts";
import { password, People } from "./people.ts";

const ORIGIN = "https://berth.test";
const env: ControlEnv = {
  ...{ ...plain, CONTROL_ORIGIN: ORIGIN, SIGN_UP: "open", OUTBOUND_ALLOW: "127.0.0.0/8" },
  ...{ GITHUB_CLIENT_ID: "berth", GITHUB_CLIENT_SECRET: "secret", GITHUB_URL: inject("outside").githubUrl },
};
const email = `${crypto.randomUUID()}@example.com`;
/** As they were set, of all answers so far. */
const set: string[] = [];
beforeAll(async () => void (await new People(env).newUser(email)));

async function page(path: string, cookie: string, fields?: Record<string, string>): Promise<Response> {
  const context = createExecutionContext();
  const form = { "content-type": "application/x-www-form-urlencoded", origin: ORIGIN };
  const headers = { "cf-connecting-ip": "198.51.100.90", cookie, ...(fields === undefined ? {} : form) };
  const sent =
    fields === undefined ? {} : { method: "POST", body: new URLSearchParams({ ...fields, user_code: "" }).toString() };
  const request = new Request(ORIGIN + path, { headers, redirect: "manual", ...sent });
  const answer = await app.fetch(request, env, context);
  set.push(...answer.headers.getSetCookie());
  const whole = new Response(await answer.arrayBuffer(), answer);
  await waitOnExecutionContext(context);
  return whole;
}
const signedInBy = async (cookie: string): Promise<boolean> =>
  !(await (await page("/account/device", cookie)).text()).includes('action="/account/sign-in"');

it("are of this host alone, over TLS alone, and out of reach of scripts, from the first to the one that ends them", async () => {
  expect((await page("/account/sign-in/github", "")).status).toBe(303);
  const signedIn = await page("/account/sign-in", "", { email, password });
  expect(signedIn.status).toBe(303);
  const cookie = signedIn.headers.getSetCookie().map((one) => one.split(";", 1)[0]).join("; "); // prettier-ignore
  await page("/account/sign-out", cookie, {});
  const names = set.map((one) => one.split("=", 1)[0]);
  expect(names).toContain("__Host-berth.session_token");
  expect(names.length).toBeGreaterThan(3);
  for (const one of set) {
    expect(one).toMatch(/^__Host-berth\./);
    const attributes = one.split("; ").slice(1).map((attribute) => attribute.toLowerCase()); // prettier-ignore
    expect(attributes).toEqual(expect.arrayContaining(["path=/", "secure", "httponly", "samesite=lax"]));
    expect(attributes.filter((attribute) => attribute.startsWith("domain="))).toEqual([]);
  }
});

it("count under their own name alone: what another host of the domain can set signs nobody in", async () => {
  const signedIn = await page("/account/sign-in", "", { email, password });
  const session = signedIn.headers.getSetCookie().find((one) => one.startsWith("__Host-berth.session_token="));
  const [, value] = /=([^;]+)/.exec(session ?? "") ?? [];
  expect(await signedInBy(`__Host-berth.session_token=${value}`)).toBe(true);
  for (const name of ["berth.session_token", "__Secure-berth.session_token", "__host-berth.session_token"])
    expect(await signedInBy(`${name}=${value}`), name).toBe(false);
  const forged = `${value?.slice(0, -6)}AAAAAA`;
  expect(await signedInBy(`__Host-berth.session_token=${forged}`)).toBe(false);
});
