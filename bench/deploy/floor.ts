// The floor: what the Engine alone needs for one container to answer. Create + start + first answer, by its API.
import type Docker from "dockerode";
import { AGENT_LIMITS } from "../../core/converge/limits.ts";
import { untilReady } from "./first-answer.ts";
import { imageOf, PORT, RESOURCES } from "./image.ts";

/** On everything that this benchmark makes at the Engine itself, so that it removes that and nothing else. */
export const BENCH_LABEL = "berth.bench";
export const BENCH_LABELS = { [BENCH_LABEL]: "deploy" };
const WITHIN_MS = 30_000;

/** Milliseconds; the same readiness rule as the agent's. */
export interface FloorRound {
  readonly totalMs: number;
  readonly createMs: number;
  readonly startMs: number;
  readonly answerMs: number;
}

export async function floorRound(docker: Docker, tag: string): Promise<FloorRound> {
  const beganMs = performance.now();
  const { createdMs, startedMs, answeredMs, remove } = await startOne(docker, tag);
  await remove();
  return {
    totalMs: answeredMs - beganMs,
    createMs: createdMs - beganMs,
    startMs: startedMs - createdMs,
    answerMs: answeredMs - startedMs,
  };
}

/** The same for many at once: how fast so many containers of this image can answer at all on this Engine. Milliseconds. */
export async function floorOfMany(docker: Docker, tag: string, count: number): Promise<number> {
  const beganMs = performance.now();
  const containers = await Promise.all(Array.from({ length: count }, () => startOne(docker, tag)));
  await Promise.all(containers.map(({ remove }) => remove()));
  return Math.max(...containers.map(({ answeredMs }) => answeredMs)) - beganMs;
}

async function startOne(docker: Docker, tag: string) {
  const { cpuMilli, memoryBytes, pids } = RESOURCES;
  const container = await docker.createContainer({
    Image: imageOf(tag),
    Labels: BENCH_LABELS,
    HostConfig: { NanoCpus: cpuMilli * 1_000_000, Memory: memoryBytes, PidsLimit: pids },
  });
  const remove = () => container.remove({ force: true, v: true });
  try {
    const createdMs = performance.now();
    await container.start();
    const startedMs = performance.now();
    const { NetworkSettings } = await container.inspect();
    const host = Object.values(NetworkSettings.Networks)[0]?.IPAddress;
    if (!host) throw new Error("the Engine gave the container no address");
    const rule = { firstMs: AGENT_LIMITS.probeFirstMs, withinMs: WITHIN_MS };
    return { createdMs, startedMs, answeredMs: await untilReady({ host, port: PORT }, rule), remove };
  } catch (error) {
    await remove();
    throw error;
  }
}

/** Containers of an earlier run that was cut off. */
export async function removeLeftovers(docker: Docker): Promise<void> {
  const filters = { label: [`${BENCH_LABEL}=deploy`] };
  const left = await docker.listContainers({ all: true, filters });
  await Promise.allSettled(left.map(({ Id }) => docker.getContainer(Id).remove({ force: true, v: true })));
}
