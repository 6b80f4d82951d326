// What a set-up refuses before it makes anything, each with its reason and what to do.
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { addAccount, addZone } from "../../../dev/cloudflare/account.ts";
import { startGround, type Ground } from "./ground.ts";
import type { SetupOptions } from "../../../cli/setup/run.ts";
import { CommandFailure } from "../../../cli/failure.ts";

let ground: Ground;
const initial = { permissions: {}, ratePlans: [] as string[] };
beforeAll(async () => {
  ground = await startGround();
  Object.assign(initial, { permissions: { ...ground.token.permissions }, ratePlans: [...ground.account.ratePlans] });
});
afterEach(() => {
  // Whatever was refused, nothing was made.
  expect(ground.cloudflare.calls.filter(({ call, status }) => !call.startsWith("GET") && status < 400)).toEqual([]);
  ground.token.permissions = { ...initial.permissions };
  ground.token.status = "active";
  ground.account.ratePlans = [...initial.ratePlans];
  ground.zone.status = "active";
  delete process.env.BERTH_ADMIN_URL;
});
afterAll(() => ground.end());

async function refusalOf(options: Partial<SetupOptions> = {}, env: Record<string, string> = {}): Promise<string> {
  const failure = await ground.setupHere(options, env).then(
    () => new Error("it was not refused"),
    (error: Error) => error,
  );
  expect(failure, failure.stack).toBeInstanceOf(CommandFailure);
  return `${failure.message}\n${(failure as CommandFailure).hint}`;
}

test.each([
  ["Workers Scripts", "Account › Workers Scripts: Edit"],
  ["Workers KV Storage", "Account › Workers KV Storage: Edit"],
  ["Workers R2 Storage", "Account › Workers R2 Storage: Edit"],
  ["Billing", "Account › Billing: Read"],
  ["Zone", "Zone › Zone: Read"],
  ["DNS", "Zone › DNS: Edit"],
  ["Workers Routes", "Zone › Workers Routes: Edit"],
  ["SSL and Certificates", "Zone › SSL and Certificates: Edit"],
] as const)("a token without %s is refused with that permission's name", async (name, words) => {
  delete ground.token.permissions[name];
  expect(await refusalOf()).toContain(words);
});

test("a token that may only read DNS is refused before anything is made, and all that it lacks is named at once", async () => {
  ground.token.permissions.DNS = "Read";
  ground.token.permissions["Workers Routes"] = "Read";
  const refusal = await refusalOf();
  expect(refusal).toContain("lacks 2 permissions");
  expect(refusal).toContain("Zone › DNS: Edit");
  expect(refusal).toContain("Zone › Workers Routes: Edit");
});

test("a token that Cloudflare does not know, or that was switched off", async () => {
  expect(await refusalOf({}, { CLOUDFLARE_API_TOKEN: "unknown" })).toContain("does not know this token");
  ground.token.status = "disabled";
  expect(await refusalOf()).toContain("The Cloudflare token is disabled");
});

test("a zone on another account, whose token does not see it", async () => {
  const other = addAccount(ground.cloudflare.cloud, "Other");
  const zone = addZone(ground.cloudflare.cloud, other, "elsewhere.org");
  const unseen = await refusalOf({ domain: "apps.elsewhere.org" });
  expect(unseen).toContain("sees no zone for apps.elsewhere.org");
  expect(unseen).toContain("another account than Acme");
  (ground.token.zones as string[]).push(zone.id);
  const seen = await refusalOf({ domain: "apps.elsewhere.org" });
  expect(seen).toContain("is on account Other");
  expect(seen).toContain("are for Acme");
  expect(await refusalOf({ account: other.id })).toContain(`not on ${other.id}`);
});

test("a zone whose registrar does not name Cloudflare's servers yet", async () => {
  ground.zone.status = "pending";
  expect(await refusalOf()).toContain("ada.ns.cloudflare.example");
});

test("the Free plan, with the reason", async () => {
  ground.account.ratePlans = [];
  const refusal = await refusalOf();
  expect(refusal).toContain("Free plan");
  expect(refusal).toContain("10 ms");
  expect(refusal).toContain("Workers Paid");
});

test("a Postgres URL that is none, is Neon's pooled one, or leads nowhere; a password in it is not shown", async () => {
  expect(await refusalOf({}, { BERTH_ADMIN_URL: "mysql://u:hidden@h/d" })).toContain("not a postgres:// URL");
  const pooled = await refusalOf({}, { BERTH_ADMIN_URL: "postgres://u:hidden@ep-x-pooler.eu.aws.neon.tech/d" });
  expect(pooled).toContain("ep-x.eu.aws.neon.tech");
  const nowhere = await refusalOf({}, { BERTH_ADMIN_URL: "postgres://u:hidden@127.0.0.1:9/d" });
  expect(nowhere).toContain("cannot be used");
  expect(pooled + nowhere).not.toContain("hidden");
});

test("a first operator without a password, where nobody can be asked for it", async () => {
  expect(await refusalOf({ email: "you@example.com" })).toContain("--password-stdin");
});

test("a Cloudflare that cannot be reached is a failure of its own", async () => {
  expect(await refusalOf({}, { CLOUDFLARE_API_BASE_URL: "http://127.0.0.1:9/client/v4" })).toContain(
    "cannot be reached",
  );
});
