// Docker Swarm on the same Engine: `service create --replicas N --publish mode=host`, until all N answered on their ports.
// Each replica has a published port of its own: the routing mesh needs IPVS in the kernel, and costs Swarm more than this does.
import { setTimeout as sleep } from "node:timers/promises";
import type Docker from "dockerode";
import { AGENT_LIMITS } from "../../core/converge/limits.ts";
import { untilReady } from "./first-answer.ts";
import { BENCH_LABELS } from "./floor.ts";
import { imageOf, PORT, RESOURCES } from "./image.ts";

const WITHIN_MS = 60_000;
const GATEWAY_NETWORK = "docker_gwbridge";
const SERVICE_LABEL = "com.docker.swarm.service.id";

export interface Swarm {
  /** Milliseconds from the call to the answer of the last replica. */
  round(tag: string, replicas: number): Promise<number>;
  /** Leaves the swarm only if it was made here. */
  close(): Promise<void>;
}

export async function joinSwarm(docker: Docker): Promise<Swarm> {
  const { Swarm: state } = (await docker.info()) as { Swarm?: { LocalNodeState?: string } };
  const mine = state?.LocalNodeState === "inactive";
  const hadGateway = await hasNetwork(docker, GATEWAY_NETWORK);
  if (mine) {
    const address = { ListenAddr: "127.0.0.1:2377", AdvertiseAddr: "127.0.0.1" };
    await docker.swarmInit({ ...address, ForceNewCluster: false, Spec: {} });
  }
  return {
    round: (tag, replicas) => round(docker, tag, replicas),
    async close() {
      if (!mine) return;
      await docker.swarmLeave({ force: true });
      // Made by the swarm, and left behind by it.
      if (!hadGateway && (await hasNetwork(docker, GATEWAY_NETWORK))) await docker.getNetwork(GATEWAY_NETWORK).remove();
    },
  };
}

async function round(docker: Docker, tag: string, replicas: number): Promise<number> {
  const { cpuMilli, memoryBytes, pids } = RESOURCES;
  const { answers } = await watchStarts(docker, replicas);
  const beganMs = performance.now();
  const service = await docker.createService({
    Name: `berth-bench-${process.pid}-${Math.round(beganMs)}`,
    Labels: BENCH_LABELS,
    TaskTemplate: {
      ContainerSpec: { Image: imageOf(tag), Labels: BENCH_LABELS },
      Resources: { Limits: { NanoCPUs: cpuMilli * 1_000_000, MemoryBytes: memoryBytes, Pids: pids } },
      RestartPolicy: { Condition: "none" },
    },
    Mode: { Replicated: { Replicas: replicas } },
    EndpointSpec: { Ports: [{ Protocol: "tcp", TargetPort: PORT, PublishMode: "host" }] },
  });
  try {
    return Math.max(...(await answers)) - beganMs;
  } finally {
    await service.remove();
    await untilGone(docker, service.id);
  }
}

/** `answers`: the moments of the first answers of so many containers that start from now on. */
async function watchStarts(docker: Docker, count: number): Promise<{ answers: Promise<number[]> }> {
  const filters = JSON.stringify({ type: ["container"], event: ["start"], label: ["berth.bench=deploy"] });
  const stream = (await docker.getEvents({ filters: filters as never })) as NodeJS.ReadableStream & { destroy(): void };
  const asked: Promise<number>[] = [];
  const answers = new Promise<number[]>((resolve, reject) => {
    const timer = setTimeout(() => finish(new Error(`${asked.length} of ${count} replicas started`)), WITHIN_MS);
    const finish = (error?: Error) => {
      clearTimeout(timer);
      stream.destroy();
      if (error) reject(error);
      else Promise.all(asked).then(resolve, reject);
    };
    let text = "";
    stream.on("data", (part: Buffer) => {
      const lines = (text += part.toString("utf8")).split("\n");
      text = lines.pop() ?? "";
      for (const line of lines) {
        if (line !== "") asked.push(firstAnswer(docker, (JSON.parse(line) as { id: string }).id));
      }
      if (asked.length >= count) finish();
    });
    stream.on("error", finish);
  });
  answers.catch(() => undefined);
  return { answers };
}

async function firstAnswer(docker: Docker, containerId: string): Promise<number> {
  const { NetworkSettings } = await docker.getContainer(containerId).inspect();
  const published = NetworkSettings.Ports[`${PORT}/tcp`]?.[0]?.HostPort;
  if (published === undefined) throw new Error("the swarm published no port");
  const target = { host: "127.0.0.1", port: Number(published) };
  return untilReady(target, { firstMs: AGENT_LIMITS.probeFirstMs, withinMs: WITHIN_MS });
}

async function untilGone(docker: Docker, serviceId: string): Promise<void> {
  const filters = { label: [`${SERVICE_LABEL}=${serviceId}`] };
  const deadlineMs = performance.now() + WITHIN_MS;
  while ((await docker.listContainers({ all: true, filters })).length > 0) {
    if (performance.now() > deadlineMs) throw new Error("the swarm did not remove its containers");
    await sleep(100);
  }
}

async function hasNetwork(docker: Docker, name: string): Promise<boolean> {
  return (await docker.listNetworks()).some(({ Name }) => Name === name);
}
