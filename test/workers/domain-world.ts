// What the tests of custom domains share: the API in this workerd over real Postgres and Host objects, a DNS server, and teams that use it.
import { createExecutionContext, waitOnExecutionContext } from "cloudflare:test";
import { expect, inject } from "vitest";
import type { Domain } from "../../contracts/domains.ts";
import { app } from "../../workers/control/app.ts";
import type { ControlEnv } from "../../workers/control/env.ts";
import { controlEnv } from "./control-env.ts";
import { People } from "./people.ts";

const { adapter, appUrl, authUrl } = inject("migrated");
const outside = inject("outside");
export const REST_MS = 4_000;
export const env: ControlEnv = {
  ...controlEnv,
  DATABASE_URL_APP: appUrl,
  DATABASE_URL_AUTH: authUrl,
  NEON_ADAPTER: adapter,
  DOH_URL: outside.dohUrl,
  BASE_DOMAIN: "berth.example",
  EDGE_ORIGIN: "https://edge.berth.test",
  RESERVED_DOMAINS: "nodes.berth.test, mail.berth.test",
  TUNING: JSON.stringify({
    domainRestMs: REST_MS,
    domainSuspendMs: 1,
    domainRecheckMs: 1,
    domainFailingCheckMs: 1,
    domainCheckSoonMs: 1,
    domainsMax: 4,
  }),
};
export const withCertificates: ControlEnv = {
  ...env,
  CLOUDFLARE_ZONE_ID: "zone-1",
  CLOUDFLARE_API_TOKEN: "token-1",
  CLOUDFLARE_API_URL: outside.cloudflareUrl,
};

export const tell = (path: string, told: object) =>
  fetch(outside.tellUrl + path, { method: "POST", body: JSON.stringify(told) }).then((answer) => answer.text());
export const records = (name: string, type: string, ...values: string[]) => tell("/records", { name, type, values });

export class Team {
  token = "";
  id = "";
  readonly slug: string;
  readonly #env: ControlEnv;
  constructor(slug: string, of = env) {
    this.slug = slug;
    this.#env = of;
  }
  async begin(...apps: string[]): Promise<this> {
    const made = await new People(this.#env).newUser(`${this.slug}@example.com`, "T");
    this.token = made.token;
    this.id = made.team.id;
    for (const name of apps) expect((await this.ask("POST", "/v1/apps", { name })).status).toBe(201);
    return this;
  }
  // Tests read whatever an answer holds.
  // oxlint-disable-next-line no-explicit-any
  async ask(method: string, path: string, body?: unknown, as = this.#env): Promise<{ status: number; body: any }> {
    const context = createExecutionContext();
    const headers = { authorization: `Bearer ${this.token}`, "content-type": "application/json" };
    const init = { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) };
    const answer = await app.fetch(new Request(`https://api.berth.test${path}`, init), as, context);
    await waitOnExecutionContext(context);
    const text = await answer.text();
    return { status: answer.status, body: text === "" ? null : JSON.parse(text) };
  }
  async add(of: string, hostname: string, as = this.#env): Promise<Domain> {
    const { status, body } = await this.ask("POST", `/v1/apps/${of}/domains`, { hostname }, as);
    expect(status, JSON.stringify(body)).toBe(201);
    return body as Domain;
  }
  async verify(of: string, hostname: string, as = this.#env): Promise<Domain> {
    return (await this.ask("POST", `/v1/apps/${of}/domains/${hostname}/verify`, undefined, as)).body as Domain;
  }
  /** Added, its proof made, and verified. */
  async prove(of: string, hostname: string, as = this.#env): Promise<Domain> {
    const { instructions } = await this.add(of, hostname, as);
    const [own] = instructions;
    await records(own?.name ?? "", "TXT", own?.value ?? "");
    return this.verify(of, hostname, as);
  }
}

export const holder = async (hostname: string) => {
  const answer = await env.HOST.getByName(hostname).resolve({ hostname });
  return answer.ok ? (answer.value?.team ?? null) : answer.failure.code;
};
