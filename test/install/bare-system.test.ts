// One line on a bare Debian: installed, joined, schedulable; run again, refused, cloned, revoked, offline, and away again.
import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { eventually } from "../e2e/support.ts";
import type { BareSystem } from "./bare-system.ts";
import { Installation, nodeOf } from "./installation.ts";

let here: Installation;
let control: string;
let first: BareSystem;
let second: BareSystem;
let used = "";

beforeAll(async () => {
  here = await Installation.create();
  ({ control } = here);
  [first, second] = await Promise.all([here.network.boot(), here.network.boot()]);
}, 400_000);
afterAll(() => here?.end());

test("one line on a bare Debian: schedulable within 60 s, under systemd, the token nowhere any more", async () => {
  used = await here.token();
  const startedMs = performance.now();
  const ran = await here.install(first, `--token ${used} --name bare-1 --runtime process --failure-domain rack-1`);
  expect(ran.out).toContain("is heard by");
  expect(ran.code).toBe(0);
  await eventually(
    () => here.nodes(),
    (all) => all.some(({ name, phase }) => name === "bare-1" && phase === "ready"),
  );
  expect(performance.now() - startedMs).toBeLessThan(60_000);
  expect((await first.sh("systemctl is-active berth-agent")).out.trim()).toBe("active");
  expect((await first.sh(`grep -r ${used} /etc /var/lib/berth /usr/local /run 2>/dev/null`)).out).toBe("");
  expect((await first.sh("stat -c %a /etc/berth/agent.env /var/lib/berth/identity.json")).out).toBe("600\n600\n");
}, 90_000);

test("the same line again keeps the identity, repairs what is missing, and needs no token", async () => {
  const before = await nodeOf(first);
  await first.sh("rm /usr/local/lib/berth/launcher.mjs /etc/systemd/system/berth-agent.service");
  const ran = await first.sh(`curl -fsSL ${control}/install | sh`);
  expect(ran, ran.out).toMatchObject({ code: 0 });
  expect(await nodeOf(first)).toBe(before);
  expect((await here.nodes()).map(({ name }) => name)).toEqual(["bare-1"]);
  expect((await first.sh("cat /etc/berth/agent.env")).out).toContain("--name bare-1");
});

test("stopping the unit leaves the gateway running", async () => {
  const gateway = async () => (await first.sh("cat /var/lib/berth/gateway.pid")).out;
  const before = await gateway();
  await first.sh("systemctl stop berth-agent");
  expect((await first.sh(`kill -0 ${/"pid":(\d+)/.exec(before)?.[1]}`)).code).toBe(0);
  await first.sh("systemctl start berth-agent");
  expect(await gateway()).toBe(before);
});

test("a second use of the token is refused with what to type, audited, and nothing is left running", async () => {
  const ran = await here.install(second, `--token ${used} --name bare-2 --runtime process`);
  expect(ran.code).toBe(1);
  expect(ran.out).toMatch(/refuses this server: .*join_token_used/);
  expect(ran.out).toContain("berth nodes token makes a new one");
  expect((await second.sh("systemctl is-active berth-agent")).out.trim()).not.toBe("active");
  const database = new pg.Client({ connectionString: here.world.stack.postgres.adminUrl });
  await database.connect();
  const audited = await database.query("select actor, outcome from audit where action = 'join_token.use'");
  await database.end();
  expect(audited.rows).toEqual([{ actor: expect.stringMatching(/^key:/), outcome: "join_token_used" }]);
});

test("what is packed on one server installs another that reaches only the control plane", async () => {
  await first.sh(`curl -fsSL ${control}/install >/root/install.sh`);
  // docker, so that the Engine is not packed: this network has no archive of packages.
  await first.sh("printf '#!/bin/sh\n' >/usr/local/bin/docker; chmod +x /usr/local/bin/docker");
  const packed = await first.sh("sh /root/install.sh --pack /root/berth.tar.gz");
  expect(packed, packed.out).toMatchObject({ code: 0 });
  await first.copyTo(second, "/root");
  const offline = "sh /root/install.sh --offline /root/berth.tar.gz --node-url http://nowhere.invalid";
  const ran = await second.sh(`${offline} --token ${await here.token()} --name bare-2 --runtime process`);
  expect(ran, ran.out).toMatchObject({ code: 0 });
  await eventually(
    () => here.nodes(),
    (all) => all.some(({ name, phase }) => name === "bare-2" && phase === "ready"),
  );
}, 90_000);

test("a revoked node that is installed again is told so; taken away, nothing of it is left, and the Engine's command stays", async () => {
  const id = await nodeOf(second);
  expect((await here.world.api("POST", `/v1/nodes/${id}/revoke`, {})).status).toBeLessThan(300);
  const ran = await second.sh(`curl -fsSL ${control}/install | sh`);
  expect(ran.code).toBe(1);
  expect(ran.out).toContain("removed or revoked this node");
  const away = await second.sh(`curl -fsSL ${control}/install | sh -s -- --uninstall --containers stop`);
  expect(away, away.out).toMatchObject({ code: 0 });
  expect((await second.sh("ls -d /usr/local/lib/berth /etc/berth /var/lib/berth 2>/dev/null")).out).toBe("");
}, 90_000);

test("a disk copied before it had joined: the second one with its key is refused, and joins once that is gone", async () => {
  const away = `curl -fsSL ${control}/install | sh -s -- --uninstall --containers stop`;
  await first.sh('sed \'s/,"enrolled":{.*/,"enrolled":null}/\' /var/lib/berth/identity.json >/root/identity.json');
  await first.copyTo(second, "/root");
  await second.sh("install -D -m 600 /root/identity.json /var/lib/berth/identity.json");
  const join = async () =>
    here.install(second, `--token ${await here.token()} --name bare-3 --runtime process --failure-domain rack-3`);
  const refused = await join();
  expect(refused.code).toBe(1);
  expect(refused.out).toContain(`has the key of node ${await nodeOf(first)}`);
  expect(refused.out).toContain("--uninstall --containers stop");
  const gone = await second.sh(away);
  expect(gone, gone.out).toMatchObject({ code: 0 });
  const ran = await join();
  expect(ran, ran.out).toMatchObject({ code: 0 });
  expect(await nodeOf(second)).not.toBe(await nodeOf(first));
  expect((await second.sh(away)).code).toBe(0);
}, 120_000);

test("a copy of the disk on another server: the older one is told, and the node says identity_cloned", async () => {
  await first.copyTo(second, "/var/lib/berth");
  await second.sh("rm -f /var/lib/berth/*.pid");
  const ran = await second.sh(`curl -fsSL ${control}/install | sh -s -- --runtime process --name bare-1`);
  expect(ran, ran.out).toMatchObject({ code: 0 });
  await eventually(
    async () =>
      (await here.world.api("GET", `/v1/nodes/${await nodeOf(first)}`)).body as { conditions: { kind: string }[] },
    ({ conditions }) => conditions.some(({ kind }) => kind === "identity_cloned"),
    { withinMs: 60_000, everyMs: 1_000 },
  );
}, 120_000);
