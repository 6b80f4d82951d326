// The agent on a real Docker Engine: starts, ends, failures, adoption.
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { desired, docker, ensureBoxImage, HTTPD, makeWorld, shell, until, untilStatus, type World } from "./world.ts";

let world: World;
const worlds: World[] = [];
async function open(...args: Parameters<typeof makeWorld>): Promise<World> {
  world = await makeWorld(...args);
  worlds.push(world);
  return world;
}

beforeAll(() => ensureBoxImage());
afterEach(() => expect(world.peer.faults).toEqual([]));
afterAll(() => Promise.all(worlds.map((each) => each.close())));

async function containers(of = world) {
  return docker.listContainers({ all: true, filters: { label: [`berth.node=${of.peer.node}`] } });
}

test("an instance in the document is started, becomes ready, serves in the endpoint file and is stopped when it is absent", async () => {
  const { peer } = await open("docker");
  const wanted = desired();
  peer.publish([wanted]);
  const ready = await untilStatus(world, wanted.instance, "ready");
  expect(ready).toMatchObject({ generation: 1, restarts: 0, digest: expect.stringMatching(/^sha256:/) });
  expect(peer.beats.at(-1)?.request.ackRevision).toBe(1);
  const [container] = await containers();
  const info = await docker.getContainer(container!.Id).inspect();
  expect(info.HostConfig).toMatchObject({
    CapDrop: ["ALL"],
    SecurityOpt: ["no-new-privileges"],
    Memory: 64 * 1024 * 1024,
    MemorySwap: 64 * 1024 * 1024,
    NanoCpus: 500_000_000,
    PidsLimit: 64,
    RestartPolicy: { Name: "no" },
    Privileged: false,
  });
  peer.publish([]);
  await untilStatus(world, wanted.instance, "stopped");
  expect(await containers()).toEqual([]);
});
