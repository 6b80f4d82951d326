// The floor: what the Engine alone needs for one container to answer. Create + start + first answer, by its API.
import type Docker from "dockerode";
import { AGENT_LIMITS } from "../../core/converge/limits.ts";
import { untilReady } from "./first-answer.ts";
import { imageOf, PORT } from "./image.ts";

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
  const container = await docker.createContainer({
    Image: imageOf(tag),
    Labels: BENCH_LABELS,
    Env: [`BERTH_VERSION=1`],
    HostConfig: { Memory: 32 * 1024 * 1024, PidsLimit: 64 },
  });
  try {
    const createdMs = performance.now();
    await container.start();
    const startedMs = performance.now();
    const { NetworkSettings } = await container.inspect();
    const host = Object.values(NetworkSettings.Networks)[0]?.IPAddress;
    if (!host) throw new Error("the Engine gave the container no address");
    const target = { host, port: PORT };
    const answeredMs = await untilReady(target, { firstMs: AGENT_LIMITS.probeFirstMs, withinMs: WITHIN_MS });
    return {
      totalMs: answeredMs - beganMs,
      createMs: createdMs - beganMs,
      startMs: startedMs - createdMs,
      answerMs: answeredMs - startedMs,
    };
  } finally {
    await container.remove({ force: true, v: true });
  }
}

/** The same for ten at once: how fast ten containers of this image can answer at all on this Engine. */
export async function floorOfMany(docker: Docker, tag: string, count: number): Promise<number> {
  const beganMs = performance.now();
  const rounds = await Promise.all(Array.from({ length: count }, () => floorRoundUntil(docker, tag, beganMs)));
  await Promise.all(rounds.map(({ remove }) => remove()));
  return Math.max(...rounds.map(({ answeredMs }) => answeredMs));
}

async function floorRoundUntil(
  docker: Docker,
  tag: string,
  beganMs: number,
): Promise<{ answeredMs: number; remove: () => Promise<unknown> }> {
  const container = await docker.createContainer({ Image: imageOf(tag), Labels: BENCH_LABELS });
  await container.start();
  const { NetworkSettings } = await container.inspect();
  const host = Object.values(NetworkSettings.Networks)[0]?.IPAddress ?? "";
  const atMs = await untilReady({ host, port: PORT }, { firstMs: AGENT_LIMITS.probeFirstMs, withinMs: WITHIN_MS });
  return { answeredMs: atMs - beganMs, remove: () => container.remove({ force: true, v: true }) };
}

/** Containers of an earlier run that was cut off. */
export async function removeLeftovers(docker: Docker): Promise<void> {
  const filters = { label: [`${BENCH_LABEL}=deploy`] };
  const left = await docker.listContainers({ all: true, filters });
  await Promise.allSettled(left.map(({ Id }) => docker.getContainer(Id).remove({ force: true, v: true })));
}
