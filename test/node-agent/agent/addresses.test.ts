// Addresses and ports of containers: none is reused while a request for its last owner may be on its way, and only what a
// release asked for by number is published.
import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { afterEach, beforeAll, describe, expect, test } from "vitest";
import { Addresses, subnetOf } from "../../../node-agent/agent/runtime/docker/addresses.ts";
import { desired, docker, ensureBoxImage, freePort, makeWorld, until, untilStatus, type World } from "./world.ts";

describe("the addresses of one network", () => {
  const subnet = subnetOf("net", "10.1.2.0/28", "10.1.2.1")!;

  test("are given out once each, without the network's own, the bridge's and the broadcast address", () => {
    const addresses = new Addresses(1_000_000);
    const given = Array.from({ length: 13 }, () => addresses.take(subnet));
    expect(new Set(given).size).toBe(13);
    const expected = Array.from({ length: 13 }, (_, index) => `10.1.2.${index + 2}`);
    expect(given.map(String).sort()).toEqual(expected.sort());
    expect(addresses.take(subnet)).toBeNull();
  });

  test("rest after their container is gone; with no other left the one that rested longest comes first", () => {
    const addresses = new Addresses(1_000_000);
    const given = Array.from({ length: 12 }, () => addresses.take(subnet)!);
    addresses.release("net", given[3]!);
    addresses.release("net", given[7]!);
    const last = addresses.take(subnet)!;
    expect(given).not.toContain(last);
    expect(addresses.take(subnet)).toBe(given[3]);
    expect(addresses.take(subnet)).toBe(given[7]);
    expect(addresses.take(subnet)).toBeNull();
  });

  test("come back once they have rested, and those of containers found here are taken", () => {
    const addresses = new Addresses(0);
    addresses.hold("net", "10.1.2.5");
    const given = Array.from({ length: 12 }, () => addresses.take(subnet)!);
    expect(given).not.toContain("10.1.2.5");
    addresses.release("net", given[0]!);
    expect(addresses.take(subnet)).toBe(given[0]);
  });

  test("a range that is no IPv4 range, or too small, is left to the Engine", () => {
    expect(subnetOf("net", "fd00::/64", undefined)).toBeNull();
    expect(subnetOf("net", "10.0.0.0/30", undefined)).toBeNull();
    expect(subnetOf("net", "10.0.0.0/16", "10.0.0.1/16")).toMatchObject({ size: 65_536, gateway: 10 * 2 ** 24 + 1 });
  });
});

describe("on a real Engine", () => {
  let world: World;
  beforeAll(() => ensureBoxImage());
  afterEach(async () => {
    expect(world.peer.faults).toEqual([]);
    await world.close();
  });

  const rows = (): { instance: string; host: string; state: string }[] =>
    JSON.parse(readFileSync(join(world.dir, "endpoints.json"), "utf8")).instances;
  const inspect = async (instance: string) => {
    const [found] = await docker.listContainers({ filters: { label: [`berth.instance=${instance}`] } });
    return docker.getContainer(found!.Id).inspect();
  };

  test("an address that a container had goes to no other one for a while, over restarts of agent and container", async () => {
    world = await makeWorld("docker", { heartbeatMs: 300 });
    const { peer } = world;
    const owners = new Map<string, Set<string>>();
    const look = () => {
      for (const { instance, host, state } of rows()) {
        if (state !== "serving") continue;
        owners.set(host, (owners.get(host) ?? new Set()).add(instance));
      }
    };
    let last = desired();
    peer.publish([last]);
    await untilStatus(world, last.instance, "ready");
    const { host } = rows()[0]!;
    expect((await inspect(last.instance)).NetworkSettings.Networks[`berth-${peer.node}-${last.team}`]?.IPAddress).toBe(
      host,
    );
    // Its container dies and comes back under its own address, although its start and a new one's race for it.
    const other = desired();
    await docker.getContainer((await inspect(last.instance)).Id).kill();
    peer.publish([last, other]);
    await until(
      "it is back",
      () => peer.observed(last.instance)?.restarts === 1 && peer.observed(last.instance)?.status.kind === "ready",
    );
    await untilStatus(world, other.instance, "ready");
    expect(rows().find(({ instance }) => instance === last.instance)!.host).toBe(host);
    for (let round = 0; round < 4; round += 1) {
      const next = desired({ stopGraceMs: 0 });
      peer.publish([next]);
      await untilStatus(world, next.instance, "ready");
      look();
      last = next;
      if (round !== 1) continue;
      await world.killAgent("SIGKILL");
      await world.startAgent();
    }
    expect(owners.size).toBe(4);
    expect([...owners.values()].every((instances) => instances.size === 1)).toBe(true);
  });

  test("asked-for host ports are published to the same port, nothing else is, and a taken one fails with the Engine's words", async () => {
    world = await makeWorld("docker", { heartbeatMs: 300 });
    const { peer } = world;
    const port = await freePort();
    const command = ["/bin/busybox", "httpd", "-f", "-p", String(port), "-h", "/www"];
    const wanted = desired({ command, port, hostPorts: [port] });
    peer.publish([wanted]);
    await untilStatus(world, wanted.instance, "ready");
    expect(await (await fetch(`http://127.0.0.1:${port}/`)).text()).toContain("hello");
    expect((await inspect(wanted.instance)).HostConfig.PortBindings).toEqual({
      [`${port}/tcp`]: [{ HostIp: "", HostPort: String(port) }],
    });
    const second = desired({ command, port, hostPorts: [port] });
    peer.publish([wanted, second]);
    const { status } = await untilStatus(world, second.instance, "failed");
    expect(status).toMatchObject({ failure: { code: "start_failed", message: expect.stringContaining(String(port)) } });
    peer.publish([]);
    await untilStatus(world, wanted.instance, "stopped");
    const refused = await new Promise((resolve) => {
      const socket = connect(port, "127.0.0.1");
      socket.once("error", () => resolve(true));
      socket.once("connect", () => resolve(false));
    });
    expect(refused).toBe(true);
  });
});
