// One instance is killed: how long until the app answers again, on Berth (through its edge) and on Docker Swarm (on its port).
import { existsSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import type Docker from "dockerode";
import { hasFailed, startVisitors } from "../../dev/load/visitors.ts";
import { choosePort } from "../../dev/ports.ts";
import type { Stack } from "../../dev/stack.ts";
import { BenchApp } from "../deploy/berth.ts";
import { watch, type Target } from "../deploy/first-answer.ts";
import { BENCH_LABELS } from "../deploy/floor.ts";
import { imageOf, PORT, RESOURCES } from "../deploy/image.ts";

const WITHIN_MS = 60_000;
const VISITORS_PER_S = 100;
/** Longer than any start-up of this image: the crash is not mistaken for a failing start. */
const STEADY_MS = 1_000;

/** A fresh app, so that its crash is the first: later ones are started again with a delay, on every side. */
export async function crashOnBerth(docker: Docker, stack: Stack, tag: string): Promise<number> {
  const app = await BenchApp.create(stack, 1);
  try {
    await app.release(tag);
    await app.settled();
    return await crash(docker, await containerOf(docker, `berth.app=${await app.id()}`), app.target);
  } finally {
    await app.destroy();
  }
}

/** Restarted by Swarm's own defaults: on any end, after 5 s. The port is fixed, so that the next task answers on it too. */
export async function crashOnSwarm(docker: Docker, tag: string): Promise<number> {
  const { cpuMilli, memoryBytes, pids } = RESOURCES;
  const port = await choosePort([]);
  const service = await docker.createService({
    Name: `berth-bench-crash-${process.pid}-${port}`,
    Labels: BENCH_LABELS,
    TaskTemplate: {
      ContainerSpec: { Image: imageOf(tag), Labels: BENCH_LABELS },
      Resources: { Limits: { NanoCPUs: cpuMilli * 1_000_000, MemoryBytes: memoryBytes, Pids: pids } },
    },
    Mode: { Replicated: { Replicas: 1 } },
    EndpointSpec: { Ports: [{ Protocol: "tcp", TargetPort: PORT, PublishedPort: port, PublishMode: "host" }] },
  });
  const target = { host: "127.0.0.1", port };
  const label = `com.docker.swarm.service.id=${service.id}`;
  try {
    await watch({ target, pauseMs: () => 10, withinMs: WITHIN_MS, enough: (answer) => answer !== null });
    return await crash(docker, await containerOf(docker, label), target);
  } finally {
    await service.remove();
    await untilNone(docker, label);
  }
}

async function untilNone(docker: Docker, label: string): Promise<void> {
  const untilMs = performance.now() + WITHIN_MS;
  while ((await docker.listContainers({ all: true, filters: { label: [label] } })).length > 0) {
    if (performance.now() > untilMs) throw new Error("the swarm did not remove its containers");
    await sleep(100);
  }
}

/**
 * Milliseconds from the end of the instance's process to the next answer. Visitors come at a steady rate, as they do: one who
 * came while nobody was there may wait for a whole second until his packet is sent again, and must not hold up the others.
 */
async function crash(docker: Docker, container: string, { port, hostname }: Target): Promise<number> {
  await sleep(STEADY_MS);
  const { State } = await docker.getContainer(container).inspect();
  process.kill(State.Pid, "SIGKILL");
  // Its last answer may still be on the way.
  while (existsSync(`/proc/${State.Pid}`)) await sleep(1);
  const crashedAtMs = Date.now();
  const visitors = startVisitors({ port, hostname: hostname ?? "127.0.0.1", ratePerS: VISITORS_PER_S });
  try {
    const untilMs = performance.now() + WITHIN_MS;
    for (;;) {
      const first = visitors.seen.find((one) => !hasFailed(one));
      if (first !== undefined) return first.endedAtMs - crashedAtMs;
      if (performance.now() > untilMs) throw new Error(`no answer within ${WITHIN_MS / 1_000} s after the crash`);
      await sleep(5);
    }
  } finally {
    await visitors.stop();
  }
}

async function containerOf(docker: Docker, label: string): Promise<string> {
  const [found, ...more] = await docker.listContainers({ filters: { label: [label] } });
  if (found === undefined || more.length > 0) throw new Error(`not one container with the label ${label}`);
  return found.Id;
}
