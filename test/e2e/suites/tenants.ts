// Two teams on one stack: what one has is not there for the other (first day, 20); and a team's people, roles, tokens and audit by command.
import { beforeAll, expect, test } from "vitest";
import { AuditRecord } from "../../../contracts/teams.ts";
import { runBerth, type Ran } from "../../cli/run-berth.ts";
import { singCanary } from "../canary.ts";
import { sharedWorld } from "../shared-world.ts";
import { SMALL, eventually, versionServer, writeApp, type World } from "../support.ts";

let world: World;
/** What a pipeline of the other team has. */
let spy: string;
let app: string;
const asSpy = (...args: string[]): Promise<Ran> => runBerth(args, { cwd: world.home, env: { BERTH_TOKEN: spy } });
const rivals = (...args: string[]): Promise<Ran> => world.berth(["--team", "rivals", ...args]);
const json = (ran: Ran) => {
  expect(ran, ran.stderr).toMatchObject({ exitCode: 0 });
  return JSON.parse(ran.stdout);
};

beforeAll(async () => {
  world = await sharedWorld();
  const folder = writeApp(world.home, "shop", { "server.mjs": versionServer("first") }, SMALL);
  const [deployed, made] = [await world.berth(["deploy", folder]), await world.berth(["teams", "create", "rivals"])];
  expect([deployed, made]).toMatchObject([{ exitCode: 0 }, { exitCode: 0 }]);
  spy = json(await world.berth(["--team", "rivals", "tokens", "create", "spy", "--json"])).token;
  app =
    json(await world.berth(["status", "shop", "--json"])).app?.id ?? (await world.api("GET", "/v1/apps/shop")).body.id;
});

test("another team's token finds no app, log, event, stream or rollout, by name or id, and each try is in its audit", async () => {
  expect(json(await asSpy("apps", "--json"))).toEqual([]);
  for (const name of ["shop", app]) {
    const tried = await Promise.all([
      asSpy("status", name),
      asSpy("logs", name),
      asSpy("events", name),
      asSpy("rollout", "show", name),
      asSpy("scale", "0", name),
      asSpy("destroy", name, "--yes"),
      asSpy("env", "set", "STOLEN=1", "--app", name),
    ]);
    for (const ran of tried) {
      expect(ran).toMatchObject({ exitCode: 4 });
      expect(ran.stdout).toBe("");
    }
  }
  for (const path of [`/v1/apps/${app}/logs?follow=1`, `/v1/apps/${app}/events`, `/v1/apps/${app}/instances`]) {
    const answer = await fetch(new URL(path, world.stack.controlUrl), { headers: { authorization: `Bearer ${spy}` } });
    expect(answer.status).toBe(404);
    expect(await answer.text()).not.toContain("first");
  }
  const tried = ["app.read", "domain.read", "log.read", "event.read", "rollout.read", "app.update", "app.destroy"];
  const meant = [...tried, "environment.change"].toSorted();
  // Its lines are written once the answers are made.
  const actions = await eventually(
    async () => {
      const audit = json(await rivals("audit", "--outcome", "not_found", "-n", "200", "--json"));
      return [...new Set((audit as unknown[]).map((entry) => AuditRecord.parse(entry).action))].toSorted();
    },
    (now) => now.length >= meant.length,
  );
  expect(actions).toEqual(meant);
  expect(await world.visit("shop")).toMatchObject({ status: 200, headers: { "x-app-text": "first" } });
});

test("a team's people, roles and tokens are kept by command, and what was done is told and exported", async () => {
  const here = rivals;
  expect(
    json(await here("roles", "set", "deployer", "--allow", "release:create,read", "app:read+own", "--json")),
  ).toMatchObject({
    policies: [
      { resource: "release", actions: ["create", "read"] },
      { resource: "app", condition: { own: true } },
    ],
  });
  const invited = await here("members", "invite", "Ann@Example.com", "--role", "deployer");
  expect(invited, invited.stderr).toMatchObject({ exitCode: 0 });
  expect(invited.stdout).toMatch(/members accept invite_[\w-]{43}\n/);
  expect((await here("members", "invitations")).stdout).toMatch(/ann@example\.com\s+deployer\s+all\s+open/);
  expect((await here("roles", "delete", "deployer")).stderr).toContain("open invitations");
  expect(await here("members", "revoke", "ann@example.com")).toMatchObject({ exitCode: 0 });
  expect((await here("members")).stdout).toMatch(/owner\s+all/);
  expect(await here("teams", "leave")).toMatchObject({ exitCode: 2 });
  expect((await here("teams", "leave", "--yes")).stderr).toContain("no owner left");
  const narrow = json(await here("tokens", "create", "ci", "--scope", "app:read", "--expires-in-days", "1", "--json"));
  const ran = await runBerth(["registry", "list"], {
    cwd: world.home,
    env: { BERTH_TOKEN: narrow.token },
  });
  expect(ran).toMatchObject({ exitCode: 3 });
  expect(ran.stderr).toContain("registry:read");
  expect((await here("tokens")).stdout).toMatch(/ci\s+berth_[\w-]*…\s+app:read/);
  expect(await here("tokens", "revoke", narrow.id)).toMatchObject({ exitCode: 0 });
  await eventually(
    () => here("audit", "--action", "member.invite"),
    ({ stdout }) => stdout.includes('"email":"ann@example.com"'),
  );
  const exported = await eventually(
    () => here("audit", "export", "--since", "1h"),
    ({ stdout }) => stdout.includes("token.revoke"),
  );
  const lines = exported.stdout
    .trimEnd()
    .split("\n")
    .map((line) => AuditRecord.parse(JSON.parse(line)));
  expect(lines.map(({ action }) => action)).toEqual(
    expect.arrayContaining(["team.create", "role.put", "token.revoke"]),
  );
  expect(exported.stdout).not.toContain(narrow.token);
});

test("an operator reads the installation's audit, and a team's owner does not", async () => {
  const { stdout } = await world.berth(["audit", "--operator", "--json", "-n", "200"]);
  const entries = (JSON.parse(stdout) as unknown[]).map((entry) => AuditRecord.parse(entry));
  expect(entries.map(({ action }) => action)).toContain("join_token.create");
  expect(entries.every(({ team }) => team === null)).toBe(true);
});

test("a secret that an app in a container prints, and fails with, is nowhere but in that container", () =>
  singCanary(world));
