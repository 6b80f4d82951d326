// Docker Swarm's side: `service update` of so many replicas, start-first with parallelism 4, under the same load as Berth's.
// Without its routing mesh (it needs IPVS in the kernel): visitors are sent to the replicas' own ports, as soon as each answers.
import type Docker from "dockerode";
import { setTimeout as sleep } from "node:timers/promises";
import { startVisitors, type Seen } from "../../dev/load/visitors.ts";
import { AGENT_LIMITS } from "../../core/converge/limits.ts";
import { untilReady } from "../deploy/first-answer.ts";
import { BENCH_LABELS } from "../deploy/floor.ts";
import { imageOf, PORT, RESOURCES } from "../deploy/image.ts";
import { readSeen } from "./load.ts";

const WITHIN_MS = 60_000;
const PARALLELISM = 4;
const LOOK_MS = 20;
const SERVICE_LABEL = "com.docker.swarm.service.id";

export interface SwarmUpdate {
  /** From the call to the first answer of the last new replica. */
  readonly totalMs: number;
  /** From the call to Swarm's own word that the update is complete. */
  readonly completedMs: number;
  readonly seen: readonly Seen[];
}

interface Replica {
  readonly port: number;
  readonly answeredAtMs: number;
}

export class RolledSwarm {
  readonly #docker: Docker;
  readonly #service: Docker.Service;
  readonly #replicas: number;
  /** By container. */
  readonly #known = new Map<string, Promise<Replica>>();
  #live: readonly Replica[] = [];
  #next = 0;

  private constructor(docker: Docker, service: Docker.Service, replicas: number) {
    this.#docker = docker;
    this.#service = service;
    this.#replicas = replicas;
  }

  static async create(docker: Docker, tag: string, replicas: number): Promise<RolledSwarm> {
    const service = await docker.createService(specOf(`berth-bench-${process.pid}`, tag, replicas));
    const created = new RolledSwarm(docker, service, replicas);
    await created.#untilLive(imageOf(tag));
    return created;
  }

  async update(tag: string, ratePerS: number): Promise<SwarmUpdate> {
    const visitors = startVisitors({ port: () => this.#port(), hostname: "swarm", ratePerS, read: readSeen });
    try {
      await sleep(1_000);
      const { Version, Spec } = await this.#service.inspect();
      const beganAtMs = Date.now();
      await this.#service.update({ ...specOf(Spec.Name, tag, this.#replicas), version: Version.Index });
      const replicas = await this.#untilLive(imageOf(tag));
      const totalMs = Math.max(...replicas.map(({ answeredAtMs }) => answeredAtMs)) - beganAtMs;
      const completedMs = (await this.#completedAtMs()) - beganAtMs;
      return { totalMs, completedMs, seen: await visitors.stop() };
    } finally {
      await visitors.stop();
    }
  }

  async remove(): Promise<void> {
    await this.#service.remove();
    while ((await this.#containers()).length > 0) await sleep(100);
  }

  #port(): number {
    this.#next += 1;
    return this.#live[this.#next % Math.max(1, this.#live.length)]?.port ?? 1;
  }

  /** Until as many as wanted of this image have answered, and those of other images are gone. */
  async #untilLive(image: string): Promise<readonly Replica[]> {
    const deadlineMs = performance.now() + WITHIN_MS;
    for (;;) {
      const running = (await this.#containers()).filter(({ State }) => State === "running");
      for (const { Id } of running) {
        if (!this.#known.has(Id)) this.#known.set(Id, this.#firstAnswer(Id));
      }
      const mine = running.filter(({ Image }) => Image.startsWith(image));
      if (mine.length === this.#replicas && running.length === mine.length) {
        this.#live = await Promise.all(mine.map(({ Id }) => this.#known.get(Id)!));
        return this.#live;
      }
      const answered = await Promise.all(
        running.map(({ Id }) => Promise.race([this.#known.get(Id)!, Promise.resolve(null)])),
      );
      this.#live = answered.filter((one) => one !== null);
      if (performance.now() > deadlineMs) throw new Error("the swarm's update did not end");
      await sleep(LOOK_MS);
    }
  }

  async #firstAnswer(container: string): Promise<Replica> {
    const { NetworkSettings } = await this.#docker.getContainer(container).inspect();
    const port = Number(NetworkSettings.Ports[`${PORT}/tcp`]?.[0]?.HostPort);
    await untilReady({ host: "127.0.0.1", port }, { firstMs: AGENT_LIMITS.probeFirstMs, withinMs: WITHIN_MS });
    return { port, answeredAtMs: Date.now() };
  }

  async #completedAtMs(): Promise<number> {
    const deadlineMs = performance.now() + WITHIN_MS;
    for (;;) {
      const { UpdateStatus } = await this.#service.inspect();
      if (UpdateStatus?.State === "completed") return Date.parse(UpdateStatus.CompletedAt);
      if (performance.now() > deadlineMs) throw new Error(`the swarm's update is ${UpdateStatus?.State}`);
      await sleep(LOOK_MS);
    }
  }

  #containers(): Promise<Docker.ContainerInfo[]> {
    return this.#docker.listContainers({ all: true, filters: { label: [`${SERVICE_LABEL}=${this.#service.id}`] } });
  }
}

function specOf(name: string, tag: string, replicas: number): Docker.CreateServiceOptions {
  const { cpuMilli, memoryBytes, pids } = RESOURCES;
  return {
    Name: name,
    Labels: BENCH_LABELS,
    TaskTemplate: {
      ContainerSpec: { Image: imageOf(tag), Labels: BENCH_LABELS },
      Resources: { Limits: { NanoCPUs: cpuMilli * 1_000_000, MemoryBytes: memoryBytes, Pids: pids } },
      RestartPolicy: { Condition: "none" },
    },
    Mode: { Replicated: { Replicas: replicas } },
    UpdateConfig: { Parallelism: PARALLELISM, Order: "start-first", Delay: 0 },
    EndpointSpec: { Ports: [{ Protocol: "tcp", TargetPort: PORT, PublishMode: "host" }] },
  };
}
