// What browsers are told with every answer, generated over every route; whose cookies and forms count; and names that are not ours.
import { describe, expect, it } from "vitest";
import { app } from "../../workers/control/app.ts";
import { ask, env, filled, forEachOf, newPerson, newTeam, operationsServed } from "./access-world.ts";
import { createExecutionContext, waitOnExecutionContext } from "cloudflare:test";

const ORIGIN = "https://api.berth.test";
async function send(path: string, init: RequestInit = {}, as = env): Promise<Response> {
  const context = createExecutionContext();
  const answer = await app.fetch(new Request(path.startsWith("http") ? path : ORIGIN + path, init), as, context);
  await waitOnExecutionContext(context);
  return answer;
}

/** Beside the operations: what is served to browsers and machines without a line in the document. */
const OTHERS = ["/healthz", "/openapi.json", "/docs", "/install", "/v1/nothing", "/nothing", "/account/forgotten", "/account/style.css", "/agent/v1/poll", "/restore/v1/state"]; // prettier-ignore

describe("every answer", () => {
  it("forbids to frame, sniff, cache and read it elsewhere, whatever its status", async () => {
    const operations = await operationsServed();
    const { team } = await newTeam();
    const { bearer } = await newPerson({ team, role: "viewer" });
    const asked = [
      ...operations.map(({ method, path }) => ({ method, path: filled(path, {}) })),
      ...OTHERS.map((path) => ({ method: "GET", path })),
      { method: "PUT", path: "/v1/apps" },
    ];
    const bad: string[] = [];
    await forEachOf(asked, async ({ method, path }) => {
      for (const authorization of [undefined, `Bearer ${bearer}`]) {
        const answer = await send(path, { method, headers: authorization === undefined ? {} : { authorization } });
        const told = (name: string): string => answer.headers.get(name) ?? "";
        await answer.body?.cancel();
        const right =
          answer.status < 500 &&
          /default-src 'none'/.test(told("content-security-policy")) &&
          (/frame-ancestors 'none'/.test(told("content-security-policy")) || told("x-frame-options") === "DENY") &&
          told("x-content-type-options") === "nosniff" &&
          told("x-frame-options") === "DENY" &&
          /^(no-referrer|same-origin)$/.test(told("referrer-policy")) &&
          told("strict-transport-security") === "max-age=31536000" &&
          told("permissions-policy").includes("camera=()") &&
          told("cache-control") === "no-store" &&
          told("access-control-allow-origin") === "" &&
          told("set-cookie") === "" &&
          told("x-powered-by") === "" &&
          told("server") === "";
        if (!right) bad.push(`${method} ${path} ${answer.status}: ${JSON.stringify([...answer.headers])}`);
      }
    });
    expect(bad).toEqual([]);
  });

  it("promises TLS only where there is TLS", async () => {
    const plain = await send("http://127.0.0.1:8080/healthz");
    expect(plain.headers.get("strict-transport-security")).toBeNull();
    const behind = await send("http://127.0.0.1:8080/healthz", {}, { ...env, CONTROL_ORIGIN: ORIGIN } as typeof env);
    expect(behind.headers.get("strict-transport-security")).toBe("max-age=31536000");
  });
});

describe("another site", () => {
  it("gets no leave to read or to write: a preflight is answered like any method that is not there", async () => {
    const headers = {
      origin: "https://evil.test",
      "access-control-request-method": "DELETE",
      "access-control-request-headers": "authorization",
    };
    const answer = await send("/v1/apps/target", { method: "OPTIONS", headers });
    expect(answer.status).toBeGreaterThanOrEqual(400);
    expect([...answer.headers.keys()].filter((name) => name.startsWith("access-control-"))).toEqual([]);
  });

  it("cannot use a browser's cookies at the API: only a bearer says who asks", async () => {
    const { team } = await newTeam();
    const { bearer } = await newPerson({ team, role: "owner" });
    expect((await ask(bearer, "GET", "/v1/whoami")).status).toBe(200);
    for (const name of ["berth.session_token", "__Host-berth.session_token", "authorization"]) {
      for (const value of [bearer, bearer.replace("berth_session_", "")]) {
        const cookie = `${name}=${encodeURIComponent(value)}`;
        const answer = await send("/v1/whoami", {
          headers: { cookie, origin: ORIGIN, "sec-fetch-site": "same-origin" },
        });
        expect(answer.status, name).toBe(401);
        await answer.body?.cancel();
      }
    }
  });

  it("cannot post a form to any page for people, in any encoding that a form has", async () => {
    const pages = app.routes.filter(({ method, path }) => method === "POST" && !/^\/(v1|agent|restore)\//.test(path));
    expect(pages.length).toBeGreaterThan(2);
    const as = { ...env, CONTROL_ORIGIN: ORIGIN } as typeof env;
    for (const { path } of pages) {
      for (const type of ["application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain"]) {
        for (const origin of ["https://evil.test", "null", `${ORIGIN}.evil.test`, "https://app.berth.example"]) {
          const headers = { origin, "content-type": type, "sec-fetch-site": "cross-site" };
          const answer = await send(path, { method: "POST", headers, body: "a=b" }, as);
          expect(answer.status, `${path} ${type} ${origin}`).toBe(403);
          await answer.body?.cancel();
        }
      }
    }
  });
});

describe("a host name that somebody else chose", () => {
  it("is not what the install script sends servers to, where the platform knows its own", async () => {
    const as = { ...env, CONTROL_ORIGIN: ORIGIN } as typeof env;
    const answer = await send("https://evil.test/install", { headers: { host: "evil.test" } }, as);
    expect(await answer.text()).not.toContain("evil.test");
  });
});
