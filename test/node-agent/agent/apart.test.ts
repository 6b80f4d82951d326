// Containers of different teams on a real Engine, and everything that is not theirs: what they reach, and what they do not.
import { existsSync } from "node:fs";
import { typeid } from "typeid-js";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { DesiredInstance } from "../../../contracts/desired.ts";
import {
  ALLOWED,
  HOST,
  INTERNET,
  type Island,
  KNOWN_NAME,
  METADATA,
  NAME_SERVER,
  PRIVATE,
  startIsland,
} from "./island.ts";
import { desired, makeBoxImage, makeWorld, until, untilStatus, type World } from "./world.ts";

let island: Island;
let world: World;
/** Processes enough for a hundred connections at once. */
const ROOM = { cpuMilli: 500, memoryBytes: 128 * 1024 * 1024, diskBytes: 1024 * 1024, pids: 512 };
const [teamA, teamB] = [typeid("team").toString(), typeid("team").toString()];
const [a, mate, b] = [teamA, teamA, teamB].map((team) => desired({ team, resources: ROOM })) as [
  DesiredInstance,
  DesiredInstance,
  DesiredInstance,
];

beforeAll(async () => {
  island = await startIsland();
  await makeBoxImage("berth-test/box:1", "hello from a box\n", island.engine.docker);
  const tuning = { heartbeatMs: 300, heartbeatJitterMs: 0, egressConnectionsMax: 60, writtenLookMs: 300 };
  world = await makeWorld("docker", tuning, false, island.engine.environment, island.within);
  await island.relay(Number(new URL(world.peer.url).port));
  const ways = [`${ALLOWED}:80`].flatMap((way) => ["--egress-allow", way]);
  await world.startAgent({
    args: ["--gateway-host", "0.0.0.0", "--firewall", "required", "--container-dns", NAME_SERVER, ...ways],
  });
  world.peer.publish([a, mate, b]);
  for (const { instance } of [a, mate, b]) await untilStatus(world, instance, "ready");
});
afterAll(async () => {
  // Closed whatever there is to find fault with: an Engine that is left behind is in everybody's way.
  await world?.close();
  await island?.close();
  expect(world.confined()).toBeGreaterThan(2);
  expect(world.peer.faults).toEqual([]);
});

async function containerOf({ instance }: DesiredInstance) {
  const [found] = await island.engine.docker.listContainers({ filters: { label: [`berth.instance=${instance}`] } });
  const info = await island.engine.docker.getContainer(found!.Id).inspect();
  const [attached] = Object.values(info.NetworkSettings.Networks);
  const { State, Name } = info;
  return {
    id: found!.Id,
    address: attached!.IPAddress,
    gateway: attached!.Gateway,
    pid: State.Pid,
    name: Name.slice(1),
  };
}

/** What a script says inside of it. */
async function inside(who: DesiredInstance, script: string): Promise<string> {
  const { id } = await containerOf(who);
  const command = { Cmd: ["/bin/busybox", "sh", "-c", script], AttachStdout: true };
  const stream = await (await island.engine.docker.getContainer(id).exec(command)).start({});
  let said = "";
  stream.on("data", (chunk: Buffer) => (said += chunk.toString()));
  await new Promise((resolve) => stream.on("end", resolve));
  return said.replaceAll("\r", "");
}

/** Of these, each `address port`, to which a connection from inside of it comes about. */
async function reached(from: DesiredInstance, targets: readonly string[]): Promise<string[]> {
  const asked = targets.map((target) => `nc -w 2 ${target} -e /bin/busybox true && echo "reached ${target}"`);
  const said = await inside(from, `alias nc='/bin/busybox nc'; ${asked.map((one) => `( ${one} ) &`).join(" ")} wait`);
  return targets.filter((target) => said.includes(`reached ${target}\n`));
}

test("a container reaches its own team and the internet, and nothing of another team, the host or a private network", async () => {
  const [own, mates, others] = [await containerOf(a), await containerOf(mate), await containerOf(b)];
  const open = [`${mates.address} 8080`, `${INTERNET} 80`, `${NAME_SERVER} 53`, `${ALLOWED} 80`];
  const outside = [...PRIVATE, METADATA].map((address) => `${address} 80`);
  const gateway = world.gatewayPort;
  const hosts = [own.gateway, others.gateway, HOST, "172.17.0.1"].flatMap((address) => [
    `${address} 9000`,
    `${address} ${gateway}`,
  ]);
  const shut = [
    `${others.address} 8080`,
    ...outside,
    ...hosts,
    `127.0.0.1 ${gateway}`,
    `${NAME_SERVER} 80`,
    `${ALLOWED} 8081`,
  ];
  // All of them are there, so that it is the rules which keep them away.
  for (const target of [...outside, ...hosts, `${ALLOWED} 8081`, `${others.address} 8080`, `${INTERNET} 25`]) {
    const [address = "", port] = target.split(" ");
    expect([target, await island.reaches(address, Number(port))]).toEqual([target, true]);
  }
  expect(await reached(a, [...open, ...shut, `${INTERNET} 25`])).toEqual(open);
  expect(await reached(b, [`${own.address} 8080`, `${INTERNET} 80`])).toEqual([`${INTERNET} 80`]);
  expect(
    await inside(
      a,
      "for f in /var/run/docker.sock /run/docker.sock /run/containerd; do [ -e $f ] && echo $f; done; /bin/busybox cat /proc/net/if_inet6",
    ),
  ).toBe("");
  expect(existsSync("/proc/net/if_inet6")).toBe(true);
});

test("names are looked up: the internet's and its own team's, and another team's are not to be had", async () => {
  const [mates, others] = [await containerOf(mate), await containerOf(b)];
  const lookUp = (name: string) => inside(a, `/bin/busybox nslookup ${name} 2>&1`);
  await until("the name server answers", async () => (await lookUp(KNOWN_NAME)).includes(INTERNET));
  expect(await lookUp(mates.name)).toContain(mates.address);
  expect(await lookUp(others.name)).not.toContain(others.address);
});

test("not one port that anything on the host listens on is reached from inside, by any of the host's addresses", async () => {
  const { gateway } = await containerOf(a);
  const sockets = await island.run("cat", "/proc/net/tcp", "/proc/net/tcp6");
  // State 0A: listening. The port is the hexadecimal number behind the address.
  const listening = [...sockets.matchAll(/^ *\d+: [0-9A-F]+:([0-9A-F]{4}) [0-9A-F]+:0000 0A /gm)];
  const ports = [...new Set(listening.map(([, port = ""]) => parseInt(port, 16)))];
  expect(ports).toContain(world.gatewayPort);
  expect(ports.length).toBeGreaterThan(2);
  expect(
    await reached(
      a,
      ports.flatMap((port) => [`${HOST} ${port}`, `${gateway} ${port}`]),
    ),
  ).toEqual([]);
});

test("a host port is for the outside: through it no other team's container comes in", async () => {
  const port = 18_080;
  const command = ["/bin/busybox", "httpd", "-f", "-p", String(port), "-h", "/www"];
  const open = desired({ team: teamA, resources: ROOM, port, hostPorts: [port], command });
  world.peer.publish([a, mate, b, open]);
  await untilStatus(world, open.instance, "ready");
  const { gateway, address } = await containerOf(open);
  await until("it is reached from outside", () => island.reachesFromOutside(HOST, port));
  expect(await reached(b, [`${HOST} ${port}`, `${gateway} ${port}`, `${address} ${port}`])).toEqual([]);
  world.peer.publish([a, mate, b]);
});

test("a container that somebody gave IPv6 reaches its own team by it, and neither the host nor a private range", async () => {
  const bridges = JSON.parse(await island.run("ip", "-json", "link", "show", "type", "bridge")) as { ifname: string }[];
  const { gateway } = await containerOf(a);
  const addresses = JSON.parse(await island.run("ip", "-json", "-4", "addr", "show")) as {
    ifname: string;
    addr_info: { local: string }[];
  }[];
  const bridge = addresses.find(({ addr_info }) => addr_info.some(({ local }) => local === gateway))?.ifname ?? "";
  expect(bridges.map(({ ifname }) => ifname)).toContain(bridge);
  await island.run("ip", "-6", "addr", "add", "fd99::1/64", "dev", bridge, "nodad");
  for (const [who, address] of [
    [a, "fd99::a"],
    [mate, "fd99::b"],
  ] as const) {
    const net = `--net=/proc/${(await containerOf(who)).pid}/ns/net`;
    await island.run("nsenter", net, "sh", "-c", "echo 0 > /proc/sys/net/ipv6/conf/eth0/disable_ipv6");
    await island.run("nsenter", net, "ip", "-6", "addr", "add", `${address}/64`, "dev", "eth0", "nodad");
  }
  expect(await island.reaches("fd99::1", 9000)).toBe(true);
  expect(await reached(a, ["fd99::b 8080", "fd99::1 9000", `fd99::1 ${world.gatewayPort}`])).toEqual(["fd99::b 8080"]);
});

test("nobody outside comes to a container by its own address", async () => {
  const { address } = await containerOf(a);
  await island.outside("ip", "route", "add", `${address}/32`, "via", HOST);
  // The Engine lets nobody in either; with its own rules out of the way, ours stand alone.
  await island.run("iptables", "-P", "FORWARD", "ACCEPT");
  await island.run("iptables", "-I", "DOCKER-ISOLATION-STAGE-1", "1", "-j", "ACCEPT");
  expect(await island.reachesFromOutside(address, 8080)).toBe(false);
  await island.run("iptables", "-D", "DOCKER-ISOLATION-STAGE-1", "1");
});

test("rules that a firewall's reload took away are back at once, and that is counted", async () => {
  const { address } = await containerOf(b);
  const restored = () => world.peer.notices().filter(({ kind }) => kind === "isolation_restored");
  for (let times = 1; times <= 2; times += 1) {
    const before = restored().length;
    await island.run("iptables", "-F");
    const asked = [`${address} 8080`, `${PRIVATE[0]} 80`, `${HOST} 9000`, `${INTERNET} 80`];
    await until("the rules are back", async () => (await reached(a, asked)).join() === `${INTERNET} 80`);
    await until("it was told", () => restored().length > before);
  }
  expect(restored().at(-1)?.message).toMatch(/[2-9] times/);
  // One rule that somebody put before ours lets nothing through for long either.
  await island.run("iptables", "-I", "INPUT", "1", "-j", "ACCEPT");
  await until("ours come first again", async () => (await reached(a, [`${HOST} 9000`])).length === 0);
  await island.run("iptables", "-D", "INPUT", "-j", "ACCEPT");
  expect(world.peer.conditions()).toEqual([]);
});

test("after a restart of dockerd the rules stand, and come first", async () => {
  await island.engine.end("SIGTERM");
  await island.engine.start();
  await until("the agent sees it", () => world.peer.notices().some(({ kind }) => kind === "engine_restarted"));
  const [others, mates] = [await containerOf(b), await containerOf(mate)];
  const open = [`${mates.address} 8080`, `${INTERNET} 80`];
  const shut = [`${others.address} 8080`, `${PRIVATE[0]} 80`, `${HOST} 9000`];
  await until(
    "no more is reached than before",
    async () => (await reached(a, [...open, ...shut])).join() === open.join(),
  );
});

test("a container has so many connections and no more, and its neighbour has its own", async () => {
  // Of the one that has opened the fewest so far: what was closed a moment ago counts for a while.
  const one = `/bin/busybox nc -w 30 ${INTERNET} 80 -e /bin/busybox sleep 60`;
  await inside(mate, `for i in $(/bin/busybox seq 1 100); do ${one} >/dev/null 2>&1 & done`);
  // As the kernel of the container itself has them: state 01 is established, port 0050 is 80.
  const open = async () => [...(await inside(mate, "cat /proc/net/tcp")).matchAll(/:0050 01 /g)].length;
  await until("it may have no more", async () => (await reached(mate, [`${INTERNET} 80`])).length === 0);
  expect(await reached(b, [`${INTERNET} 80`])).toEqual([`${INTERNET} 80`]);
  // What is counted is on its way for a moment before it is there.
  await until("they are there", async () => (await open()) > 40);
  expect(await open()).toBeLessThanOrEqual(60);
});

test("a release that asks for a class of runtime is started with it, and refused with words where the Engine has none", async () => {
  const { peer } = world;
  expect(peer.beats.at(-1)?.request.isolation).toEqual({
    runtimeClasses: ["runc", "runsc"],
    userNamespaces: false,
    seccomp: true,
    confined: expect.any(Boolean),
    firewall: "whole",
  });
  const [sandboxed, virtual] = [desired({ runtimeClass: "runsc" }), desired({ runtimeClass: "kata" })];
  peer.publish([sandboxed, virtual]);
  await untilStatus(world, sandboxed.instance, "ready");
  const { id } = await containerOf(sandboxed);
  expect((await island.engine.docker.getContainer(id).inspect()).HostConfig.Runtime).toBe("runsc");
  const { status } = await untilStatus(world, virtual.instance, "failed");
  expect(status).toMatchObject({
    failure: { code: "start_failed", message: expect.stringContaining("no runtime of class kata; it has runc, runsc") },
  });
});
