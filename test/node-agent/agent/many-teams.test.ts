// More teams on a node than its Engine has address ranges for: each gets a network all the same, apart from the others and from the host's.
import { typeid } from "typeid-js";
import { afterAll, beforeAll, expect, test } from "vitest";
import { INTERNET, type Island, startIsland } from "./island.ts";
import { desired, makeBoxImage, makeWorld, untilStatus, type World } from "./world.ts";

let island: Island;
let world: World;
/** One for docker0 and one for a team. */
const POOL = "192.168.40.0/23";
/** Ways of the host to all of 10.64.0.0/10 but its first two /24: half of it, half of the rest, and so on. */
const ROUTES = [
  ...[11, 12, 13, 14, 15, 16].map((bits) => `10.${64 + 2 ** (16 - bits)}.0.0/${bits}`),
  ...[17, 18, 19, 20, 21, 22, 23].map((bits) => `10.64.${2 ** (24 - bits)}.0/${bits}`),
];

beforeAll(async () => {
  island = await startIsland({ addressPool: POOL });
  for (const range of ROUTES) await island.run("ip", "route", "add", range, "via", INTERNET);
  await makeBoxImage("berth-test/box:1", "hello from a box\n", island.engine.docker);
  const tuning = { heartbeatMs: 300, heartbeatJitterMs: 0 };
  world = await makeWorld("docker", tuning, false, island.engine.environment, island.within);
  await island.relay(Number(new URL(world.peer.url).port));
  await world.startAgent({ args: ["--firewall", "required"] });
});
afterAll(async () => {
  // Closed whatever there is to find fault with: an Engine that is left behind is in everybody's way.
  await world?.close();
  await island?.close();
  expect(world.peer.faults).toEqual([]);
});

async function placeOf(instance: string) {
  const [found] = await island.engine.docker.listContainers({ filters: { label: [`berth.instance=${instance}`] } });
  const { State, NetworkSettings } = await island.engine.docker.getContainer(found!.Id).inspect();
  const [attached] = Object.values(NetworkSettings.Networks);
  return { pid: State.Pid, address: attached!.IPAddress, network: attached!.NetworkID };
}

/** Whether a container gets there. */
async function gets(pid: number, address: string): Promise<boolean> {
  const connect = ["/bin/busybox", "nc", "-w", "2", address, "8080", "-e", "/bin/true"];
  return island.run("nsenter", `--net=/proc/${pid}/ns/net`, ...connect).then(
    () => true,
    () => false,
  );
}

test("four teams' instances come up on an Engine with room for one, each reached from the host and from no other team", async () => {
  const wanted = Array.from({ length: 4 }, () => desired({ team: typeid("team").toString() }));
  world.peer.publish(wanted);
  for (const { instance } of wanted) await untilStatus(world, instance, "ready");
  const places = await Promise.all(wanted.map(({ instance }) => placeOf(instance)));
  expect(new Set(places.map(({ network }) => network)).size).toBe(4);
  const ranges = places.map(({ address }) => address.split(".").slice(0, 3).join("."));
  expect(ranges.toSorted()).toEqual([
    "10.64.0",
    "10.64.1",
    expect.stringMatching(/^192\.168\.4[01]$/),
    expect.any(String),
  ]);
  expect(ranges.filter((range) => /^198\.1[89]\./.test(range))).toHaveLength(1);
  for (const { address, pid } of places) {
    expect([address, await island.reaches(address, 8080)]).toEqual([address, true]);
    const got = await Promise.all(places.map((other) => gets(pid, other.address)));
    expect(got).toEqual(places.map((other) => other.pid === pid));
  }
});
