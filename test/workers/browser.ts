// A browser before the control Worker, and an installation that Google's and GitHub's places are taken in.
import { createExecutionContext, waitOnExecutionContext } from "cloudflare:test";
import { expect, inject } from "vitest";
import { app } from "../../workers/control/app.ts";
import { sessionBearer } from "../../workers/control/auth/bearer.ts";
import type { ControlEnv } from "../../workers/control/env.ts";
import { env as plainEnv } from "./access-world.ts";
import { ORIGIN } from "./people.ts";

export const { issuer, githubUrl } = inject("outside");
export const SECRET = "a secret of at least thirty-two letters";
export const env: ControlEnv = {
  ...{ ...plainEnv, CONTROL_ORIGIN: ORIGIN, SIGN_UP: "open", OUTBOUND_ALLOW: "127.0.0.0/8" },
  ...{ GOOGLE_CLIENT_ID: "berth", GOOGLE_CLIENT_SECRET: SECRET, GOOGLE_URL: issuer },
  ...{ GITHUB_CLIENT_ID: "berth", GITHUB_CLIENT_SECRET: SECRET, GITHUB_URL: githubUrl },
};

/** A browser of one person: cookies of each origin, and no redirect followed by itself. */
export class Browser {
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
