// An Engine that has user namespaces: root in a container is nobody on its host, for images and for bundles, and the node says so.
import { readFileSync, statSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { FIRST_SUBUID, type OwnEngine, startOwnEngine } from "./own-engine.ts";
import { desired, makeBoxImage, makeBundle, makeWorld, SERVER_JS, shell, untilStatus, type World } from "./world.ts";

let engine: OwnEngine;
let world: World;

beforeAll(async () => {
  engine = await startOwnEngine({ userNamespaces: true });
  await makeBoxImage("berth-test/box:1", "hello from a box\n", engine.docker);
  world = await makeWorld("docker", { heartbeatMs: 300, heartbeatJitterMs: 0 }, true, engine.environment);
});
afterAll(async () => {
  await world?.close();
  await engine?.close();
  // Each was inspected as it started, and no container was taken out of its user namespace.
  expect(world.confined()).toBeGreaterThan(1);
  expect(world.peer.faults).toEqual([]);
});

test("root in a container is nobody on the host, in its processes and in the files that it writes", async () => {
  const { peer } = world;
  const { hash, bytes } = await makeBundle({ "server.js": SERVER_JS });
  peer.bundles.set(hash, bytes);
  const image = desired({ command: shell("echo mine > /written; exec /bin/busybox httpd -f -p 8080 -h /www") });
  const bundle = desired({
    source: { kind: "bundle", hash },
    command: ["node", "server.js"],
    resources: { cpuMilli: 500, memoryBytes: 128 * 1024 * 1024, diskBytes: 1024 * 1024, pids: 64 },
  });
  peer.publish([image, bundle]);
  for (const { instance } of [image, bundle]) await untilStatus(world, instance, "ready");
  expect(peer.beats.at(-1)?.request.isolation?.userNamespaces).toBe(true);
  for (const { instance } of [image, bundle]) {
    const [found] = await engine.docker.listContainers({ filters: { label: [`berth.instance=${instance}`] } });
    const { State, GraphDriver, HostConfig } = await engine.docker.getContainer(found!.Id).inspect();
    const map = readFileSync(`/proc/${State.Pid}/uid_map`, "utf8").trim().split(/\s+/).map(Number);
    expect(map).toEqual([0, FIRST_SUBUID, 65_536]);
    const [, real = ""] = /^Uid:\t(\d+)/m.exec(readFileSync(`/proc/${State.Pid}/status`, "utf8")) ?? [];
    expect(Number(real)).toBeGreaterThanOrEqual(FIRST_SUBUID);
    expect((HostConfig as { UsernsMode?: string }).UsernsMode).toBe("");
    const { UpperDir = "" } = GraphDriver.Data as { UpperDir?: string };
    if (instance === image.instance) expect(statSync(`${UpperDir}/written`).uid).toBe(FIRST_SUBUID);
  }
});
