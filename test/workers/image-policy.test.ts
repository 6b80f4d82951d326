// Image policies as operators and teams meet them: the API in this workerd, App objects, a real Postgres and a scanner over HTTP.
import { createExecutionContext, waitOnExecutionContext } from "cloudflare:test";
import { eq } from "drizzle-orm";
import { beforeAll, describe, expect, inject, it } from "vitest";
import { connect } from "../../db/connect.ts";
import { users } from "../../db/schema/auth.ts";
import { app } from "../../workers/control/app.ts";
import type { ControlEnv } from "../../workers/control/env.ts";
import { controlEnv } from "./control-env.ts";
import { People } from "./people.ts";
import { SCANNED_DIGEST } from "./scanner-server.ts";
import { notOverMidnight } from "./still-clock.ts";

const { adapter, alone } = inject("migrated");
const { scannerUrl } = inject("outside");
// A policy of the installation is everybody's: this file has a database of its own.
const env: ControlEnv = {
  ...controlEnv,
  DATABASE_URL_APP: alone.appUrl,
  DATABASE_URL_AUTH: alone.authUrl,
  NEON_ADAPTER: adapter,
  BASE_DOMAIN: "berth.example",
  EDGE_ORIGIN: "https://edge.berth.test",
};
const DIGEST = `sha256:${"d".repeat(64)}`;
const OF_ALL = "/v1/installation/image-policy";
/** The most that a policy may say. */
const SCANNER_MS = 30_000;

// Tests read whatever an answer holds.
// oxlint-disable-next-line no-explicit-any
type Answered = { status: number; body: any };
type Ask = (method: string, path: string, body?: unknown, headers?: Record<string, string>) => Promise<Answered>;
let operator: Ask;
let team: Ask;
let other: Ask;

async function newcomer(email: string): Promise<Ask> {
  const { token } = await new People(env).newUser(email);
  return async (method, path, body, more = {}) => {
    const context = createExecutionContext();
    const headers = { authorization: `Bearer ${token}`, "content-type": "application/json", ...more };
    const init = { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) };
    const answer = await app.fetch(new Request(`https://api.berth.test${path}`, init), env, context);
    await waitOnExecutionContext(context);
    return { status: answer.status, body: await answer.json() };
  };
}

const set = async (who: Ask, path: string, policy: object) => {
  const answer = await who("PUT", path, policy);
  expect(answer.status, JSON.stringify(answer.body)).toBe(200);
  return answer.body;
};
const image = (reference: string) => ({ spec: { source: { kind: "image", reference } } });
const release = (who: Ask, reference: string, headers = {}) =>
  who("POST", "/v1/apps/shop/releases", image(reference), headers);
const releasesToday = async (who: Ask): Promise<number> => {
  const { quotas } = (await who("GET", "/v1/quota")).body as { quotas: { quota: string; used: number }[] };
  return quotas.find(({ quota }) => quota === "releasesPerDay")!.used;
};

beforeAll(async () => {
  [operator, team, other] = await Promise.all(["op", "one", "two"].map((name) => newcomer(`${name}@example.com`))) as [Ask, Ask, Ask]; // prettier-ignore
  const database = connect({ url: alone.authUrl, adapter });
  await database.run({ kind: "auth" }, (statements) =>
    statements.update(users).set({ operator: true }).where(eq(users.email, "op@example.com")),
  );
  for (const who of [team, other]) expect((await who("POST", "/v1/apps", { name: "shop" })).status).toBe(201);
}, 60_000);

describe("a team's own policy", () => {
  it("refuses its releases and nobody else's, with the rule and the place, and counts none of them", async () => {
    await notOverMidnight();
    const before = await releasesToday(team);
    await set(team, "/v1/image-policy", { registries: ["ghcr.io/acme"], requireDigest: true, bundles: false });
    const refused = await release(team, "docker.io/library/nginx:1.29");
    expect(refused).toMatchObject({
      status: 422,
      body: { code: "image_refused", errors: [{ pointer: "/spec/source/reference", rule: "registries" }] },
    });
    expect(refused.body.detail).toContain("the team's image policy allows images from ghcr.io/acme only");
    expect((await release(team, "ghcr.io/acme/web:1")).body.errors[0].rule).toBe("require_digest");
    const bundle = { spec: { source: { kind: "bundle", hash: DIGEST }, command: ["node", "x.js"] } };
    // That no such bundle was uploaded is found first: what is not there needs no policy.
    expect((await team("POST", "/v1/apps/shop/releases", bundle)).status).toBe(422);
    expect(await releasesToday(team)).toBe(before);
    expect((await release(team, `ghcr.io/acme/web@${DIGEST}`)).status).toBe(202);
    expect((await release(other, "docker.io/library/nginx:1.29")).status).toBe(202);
    expect(await releasesToday(team)).toBe(before + 1);
    await set(team, "/v1/image-policy", {});
  });

  it("is in its audit with what was set before, and so is each release that it refused", async () => {
    const { items } = (await team("GET", "/v1/audit?action=image_policy.set")).body;
    expect(items[0]).toMatchObject({ subject: "team", after: { bundles: true }, before: { bundles: false } });
    const refused = (await team("GET", "/v1/audit?outcome=image_refused")).body.items;
    expect(refused.length).toBeGreaterThan(0);
  });

  it("cannot name a scanner, nor a registry that is none", async () => {
    const scanner = { scanner: { url: "https://scan.example.com/" } };
    expect((await team("PUT", "/v1/image-policy", scanner)).status).toBe(400);
    const typo = await team("PUT", "/v1/image-policy", { registries: ["https://ghcr.io"] });
    expect(typo.body).toMatchObject({ code: "invalid_request", errors: [{ pointer: "/registries/0" }] });
  });
});

describe("the installation's policy", () => {
  it("holds for every team beside its own, is an operator's to set, and hides the scanner's address from teams", async () => {
    expect((await team("PUT", OF_ALL, {})).status).toBe(403);
    expect((await team("GET", OF_ALL)).status).toBe(403);
    const policy = { registries: ["registry.test"], scanner: { url: scannerUrl, timeoutMs: 2_000 } };
    expect((await set(operator, OF_ALL, policy)).policy.scanner.url).toBe(scannerUrl);
    await set(team, "/v1/image-policy", { registries: ["docker.io", "registry.test"] });
    for (const who of [team, other]) {
      const { detail } = (await release(who, "nginx:1.29")).body;
      expect(detail).toContain("the installation's image policy allows images from registry.test only");
    }
    const shown = (await team("GET", "/v1/image-policy")).body;
    expect(shown.installation).toEqual({
      ...{ registries: ["registry.test"], requireDigest: false, bundles: true },
      scanner: { timeoutMs: 2_000, ifAway: "refuse" },
    });
    expect(JSON.stringify(shown)).not.toContain(scannerUrl);
    await set(team, "/v1/image-policy", {});
  });
});

describe("the operator's scanner", () => {
  /** Waited for as long as may be: a scanner that judges is not away because the machine is busy. */
  const scanning = (more: object = {}) =>
    set(operator, OF_ALL, { scanner: { url: scannerUrl, timeoutMs: SCANNER_MS, ...more } });

  it("is told team, app, image and digest, and its refusal reaches whoever released, in its own words", async () => {
    await scanning();
    const refused = await release(team, "registry.test/cve:1");
    expect(refused).toMatchObject({ status: 422, body: { code: "image_refused", errors: [{ rule: "scanner" }] } });
    expect(refused.body.detail).toContain("refuses it: CVE-2026-0001 in libx 1.2");
    const { body } = await release(team, `registry.test/told@${DIGEST}`);
    const told = JSON.parse(body.detail.slice(body.detail.indexOf("{")));
    expect(told).toEqual({
      ...{ team: expect.stringMatching(/^team_/), app: expect.stringMatching(/^app_/) },
      ...{ image: `registry.test/told@${DIGEST}`, digest: DIGEST },
    });
    expect((await release(team, "registry.test/fine:1")).status).toBe(202);
  });

  it("pins the release to the image that it looked at", async () => {
    const { body } = await release(team, "registry.test/found:1");
    expect(body.release.digest).toBe(SCANNED_DIGEST);
    const another = await release(team, `registry.test/found@${DIGEST}`);
    expect(another.body.detail).toContain(`looked at ${SCANNED_DIGEST} instead of ${DIGEST}`);
  });

  it.each(["slow", "broken", "vague", "redirect", "endless"])(
    "that is %s gives no word: refused with another code, or accepted where the operator said so",
    async (how) => {
      await scanning({ timeoutMs: 400 });
      const { status, body } = await release(team, `registry.test/${how}:1`);
      expect([status, body.code, body.errors[0].rule]).toEqual([503, "scanner_unavailable", "scanner_away"]);
      expect(body.detail).toContain("did not answer within 400 ms");
      expect(body.detail).not.toContain(scannerUrl);
      await scanning({ timeoutMs: 400, ifAway: "accept" });
      expect((await release(team, `registry.test/${how}:1`)).status).toBe(202);
    },
  );

  it("is not asked about an app that the team does not have, nor about an image that a rule refuses", async () => {
    await scanning();
    const began = performance.now();
    expect((await team("POST", "/v1/apps/nobodys/releases", image("registry.test/slow:1"))).status).toBe(404);
    await set(team, "/v1/image-policy", { requireDigest: true });
    expect((await release(team, "registry.test/slow:1")).body.errors[0].rule).toBe("require_digest");
    expect(performance.now() - began).toBeLessThan(SCANNER_MS);
    await set(team, "/v1/image-policy", {});
  });

  it("changes nothing about what was accepted: the same request again gets the same answer", async () => {
    await notOverMidnight();
    const key = { "idempotency-key": "release-1" };
    await set(operator, OF_ALL, {});
    const first = await release(team, "registry.test/cve:2", key);
    expect(first.status).toBe(202);
    await scanning();
    const used = await releasesToday(team);
    expect(await release(team, "registry.test/cve:2", key)).toEqual(first);
    const refused = await release(team, "registry.test/cve:2", { "idempotency-key": "release-2" });
    expect(refused.body.code).toBe("image_refused");
    expect(await releasesToday(team)).toBe(used);
  });
});
