// What goes on over a death of the control plane's process: `berth audit -f`, for as long as its reader may read it, and a customer's minute.
import { randomUUID } from "node:crypto";
import pg from "pg";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { AuditRecord } from "../../contracts/teams.ts";
import { beginBerth } from "../cli/run-berth.ts";
import { createWorld, eventually, type World } from "./support.ts";

/** In which whoever lost the right gets nothing more (invariant 18). */
const RIGHT_ENDS_WITHIN_MS = 5_000;
let world: World;
let running: Following[] = [];
beforeAll(async () => void (world = await createWorld({ agents: 0 })));
afterEach(() => {
  for (const { stop } of running) stop();
  running = [];
});
afterAll(async () => await world?.end());

type Following = ReturnType<typeof beginBerth>;
/** Without the lines of before. */
function following(token: string, ...args: string[]): Following {
  const env = { BERTH_TOKEN: token };
  const begun = beginBerth(["audit", "-f", "-n", "0", "--json", ...args], { cwd: world.home, env });
  running.push(begun);
  return begun;
}
const toldBy = ({ said }: Following): string[] =>
  said.stdout
    .trimEnd()
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => AuditRecord.parse(JSON.parse(line)))
    .map(({ action, subject }) => `${action} ${subject}`);
const until = (of: Following, last: string) =>
  eventually(
    async () => toldBy(of),
    (told) => told.at(-1) === last,
  );
const makeProject = async (name: string): Promise<string> => {
  const made = await world.api("POST", "/v1/projects", { name }, { "idempotency-key": randomUUID() });
  expect(made.status, JSON.stringify(made.body)).toBe(201);
  return `project.create ${made.body.id}`;
};
/** Until it was told of something, it may still be on its way to its first look. */
async function begun(of: Following, name: string): Promise<string> {
  let line = "";
  for (let count = 0; toldBy(of).length === 0; count += 1) {
    line = await makeProject(`${name}-${count}`);
    await new Promise((resolve) => setTimeout(resolve, 1_000));
  }
  await until(of, line);
  return line;
}
async function makeToken(): Promise<{ id: string; token: string }> {
  const { stdout } = await world.berth(["tokens", "create", "reader", "--scope", "audit:read", "--json"]);
  return JSON.parse(stdout);
}

test("`berth audit -f` tells each line once: those that come, and one that was late", async () => {
  const of = following(world.stack.operator.token);
  const first = await begun(of, "first");
  const second = await makeProject("second");
  await until(of, second);
  await addLate(first);
  await until(of, "app.create late");
  const third = await makeProject("third");
  const told = await until(of, third);
  expect(told.slice(told.indexOf(first))).toEqual([first, second, "app.create late", third]);
});

/** As a transaction leaves it that began with that line, and ended after others that began later. */
async function addLate(line: string): Promise<void> {
  const client = new pg.Client({ connectionString: world.stack.postgres.adminUrl });
  await client.connect();
  const inserted = await client.query(
    `insert into audit (id, team_id, actor, action, subject, outcome, at)
     select overlay(id::text placing '000000000000' from 25)::uuid, team_id, actor, 'app.create', 'late', 'ok', at
     from audit where subject = $1`,
    [line.split(" ")[1]],
  );
  await client.end();
  expect(inserted.rowCount).toBe(1);
}

test("it goes on where the control plane was killed under it, and misses nothing", async () => {
  const of = following(world.stack.operator.token);
  const before = await begun(of, "before");
  await world.stack.kill("control", "SIGKILL", { hold: true });
  await eventually(
    async () => of.said.stderr,
    (said) => said.includes("still trying"),
  );
  await world.stack.start("control");
  const line = await makeProject("meanwhile");
  const told = await until(of, line);
  expect(told.slice(told.indexOf(before))).toEqual([before, line]);
  // An outage is said once.
  expect(of.said.stderr.match(/still trying/g)).toHaveLength(1);
});

test("it ends with its reader's right, within 5 s, and says why", async () => {
  const { id, token } = await makeToken();
  const of = following(token);
  await begun(of, "read");
  expect(await world.berth(["tokens", "revoke", id])).toMatchObject({ exitCode: 0 });
  const revokedAt = performance.now();
  const ran = await of.ended;
  expect(performance.now() - revokedAt).toBeLessThan(RIGHT_ENDS_WITHIN_MS);
  expect(ran.exitCode).toBe(3);
  expect(JSON.parse(ran.stderr).code).toBe("unauthenticated");
});

test("a customer's minute is counted on by the control plane that comes after one that was killed", async () => {
  const team = await world.berth(["tokens", "create", "counted", "--json"]);
  const headers = { authorization: `Bearer ${JSON.parse(team.stdout).token}` };
  const left = async (): Promise<number> => {
    const answer = await world.api("GET", "/v1/whoami", undefined, headers);
    return Number(/r=(\d+)/.exec(answer.headers.get("ratelimit") ?? "")?.[1]);
  };
  await minuteWithRoom();
  const minute = minuteNow();
  for (let asked = 0; asked < 20; asked += 1) await left();
  const before = await left();
  await world.stack.kill("control.workerd");
  await world.stack.untilReady("control");
  const after = await eventually(left, (count) => count >= 0);
  expect(minuteNow(), "the minute ended meanwhile: the machine is too busy for this test").toBe(minute);
  expect(after).toBeLessThan(before);
});

const minuteNow = (): number => Math.floor(Date.now() / 60_000);
/** All of the test is to be in one minute, which is what is counted in. */
async function minuteWithRoom(): Promise<void> {
  const goneMs = Date.now() % 60_000;
  if (goneMs > 35_000) await new Promise((resolve) => setTimeout(resolve, 60_100 - goneMs));
}
