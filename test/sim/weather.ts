// What breaks, and comes back: servers, links, processes, containers, registries, databases; each counted when it really happens.
import type { Cluster } from "./cluster.ts";
import type { FaultClass } from "./faults.ts";
import type { Container } from "./node/engine.ts";
import { answersIn } from "./node/gateway.ts";
import type { Machine } from "./node/machine.ts";
import type { World } from "./world.ts";

export function breakThings(
  world: World,
  cluster: Cluster,
  classes: ReadonlySet<FaultClass>,
  isOver: () => boolean,
): void {
  const every = (name: FaultClass, lowMs: number, highMs: number, act: () => void): void => {
    if (classes.has(name)) world.every(lowMs, highMs, act, isOver);
  };
  const server = (): Machine => world.pick([...cluster.machines.values()]);
  const happens = (what: string, where: string): void => {
    world.happened(what);
    world.note(`${what}: ${where}`);
  };
  breakServers(world, cluster, classes, every, server, happens);
  breakLinks(world, cluster, every, server, happens);
  breakContainers(world, every, server, happens);
  every("postgres", 25_000, 70_000, () => {
    happens("postgres down", "");
    cluster.postgres.isUp = false;
    world.after(world.between(1_000, 20_000), () => (cluster.postgres.isUp = true));
  });
  every("kv", 25_000, 70_000, () => {
    happens("kv down", "");
    cluster.isKvUp = false;
    world.after(world.between(500, 5_000), () => (cluster.isKvUp = true));
  });
}

type Every = (name: FaultClass, lowMs: number, highMs: number, act: () => void) => void;
type Happens = (what: string, where: string) => void;

function breakServers(
  world: World,
  cluster: Cluster,
  classes: ReadonlySet<FaultClass>,
  every: Every,
  server: () => Machine,
  happens: Happens,
): void {
  every("power", 15_000, 45_000, () => {
    const machine = server();
    if (!machine.isPowered) return;
    happens("power lost", machine.name);
    const offMs = world.chance(0.5) ? world.between(2_000, 9_000) : world.between(9_000, 40_000);
    machine.losePowerFor(offMs);
    if (classes.has("clock") && world.chance(0.5)) {
      // Its battery is flat: the time is wrong until the network's time is heard.
      happens("wall clock wrong after boot", machine.name);
      machine.wallOffsetMs = world.pick([-3_600_000, 3_600_000]);
      world.after(offMs + world.between(100, 3_000), () => (machine.wallOffsetMs = 0));
    }
  });
  every("agent", 8_000, 30_000, () => {
    const machine = server();
    if (!machine.agent) return;
    if (world.chance(0.6)) {
      happens("agent restarted", machine.name);
      machine.restartAgent(world.chance(0.8) ? world.between(300, 12_000) : world.between(12_000, 40_000));
    } else {
      happens("agent paused", machine.name);
      machine.agent.pauseFor(world.chance(0.7) ? world.between(500, 9_000) : world.between(9_000, 40_000));
    }
  });
  every("clock", 15_000, 60_000, () => {
    const machine = server();
    const jumpMs = world.pick([-3_600_000, -60_000, -5_000, 5_000, 60_000, 3_600_000]);
    happens("wall clock jumped", `${machine.name} by ${jumpMs / 1_000} s`);
    machine.wallOffsetMs += jumpMs;
  });
  every("clock", 5_000, 30_000, () => {
    world.happened("clock drifts");
    server().driftBy((world.random() - 0.5) / 1_000);
  });
  every("gateway", 20_000, 60_000, () => {
    const machine = server();
    if (!machine.isPowered || !machine.gateway.isUp) return;
    happens("gateway restarted", machine.name);
    machine.restartGateway(world.between(100, 2_000));
  });
  every("engine", 20_000, 60_000, () => {
    const machine = server();
    if (!machine.isPowered) return;
    happens("engine restarted", machine.name);
    machine.engine.restartFor(world.between(500, 6_000));
  });
  every("pull", 10_000, 40_000, () => {
    // One server's registry mirror, or the registry of all.
    const engines = world.chance(0.5) ? [server()] : [...cluster.machines.values()];
    const untilMs = world.nowMs + world.between(3_000, 15_000);
    const isCrawling = world.chance(0.5);
    for (const { engine } of engines) {
      if (isCrawling) engine.pullsCrawlUntilMs = untilMs;
      else engine.pullsFailUntilMs = untilMs;
    }
  });
}

/** Seconds to most of a minute: shorter than the windows, between them, and longer than all of them. */
function lengthMs(world: World): number {
  const dice = world.random();
  if (dice < 0.4) return world.between(500, 5_000);
  return dice < 0.8 ? world.between(5_000, 20_000) : world.between(20_000, 45_000);
}

function breakLinks(world: World, cluster: Cluster, every: Every, server: () => Machine, happens: Happens): void {
  const { network } = cluster;
  every("partition", 8_000, 30_000, () => {
    const { name } = server();
    const ms = lengthMs(world);
    const up = [name, "control"] as const;
    const down = ["control", name] as const;
    const dice = world.random();
    if (dice < 0.33) {
      happens("agent's requests cut off", `${name} for ${ms} ms`);
      network.cutFor(ms, [up]);
    } else if (dice < 0.66) {
      happens("agent's answers cut off", `${name} for ${ms} ms`);
      network.cutFor(ms, [down]);
    } else {
      happens("agent cut off both ways", `${name} for ${ms} ms`);
      network.cutFor(ms, [up, down]);
    }
  });
  every("isolation", 12_000, 40_000, () => {
    const { name } = server();
    const ms = lengthMs(world);
    happens("node isolated", `${name} for ${ms} ms`);
    network.cutFor(ms, [
      [name, "control"],
      ["control", name],
      [name, "edge"],
      ["edge", name],
    ]);
  });
  every("objects", 10_000, 40_000, () => {
    const apps = [...cluster.apps.values()].map(({ host }) => host.name);
    const one = world.pick(apps);
    const other = world.pick([...cluster.cells.keys(), ...[...cluster.regions.keys()].map((name) => `region:${name}`)]);
    const ms = world.between(500, 15_000);
    const isBoth = world.chance(0.4);
    const ways = world.chance(0.5) ? ([one, other] as const) : ([other, one] as const);
    happens(isBoth ? "objects cut off both ways" : "objects cut off one way", `${ways.join(" → ")} for ${ms} ms`);
    network.cutFor(ms, isBoth ? [ways, [ways[1], ways[0]]] : [ways]);
  });
  every("silence", 40_000, 120_000, () => {
    const ms = lengthMs(world);
    happens("control plane silent", `to all agents for ${ms} ms`);
    network.cutFor(
      ms,
      [...cluster.machines.values()].map(({ name }) => ["control", name] as const),
    );
    network.cutFor(
      ms,
      [...cluster.machines.values()].map(({ name }) => [name, "control"] as const),
    );
  });
}

function breakContainers(world: World, every: Every, server: () => Machine, happens: Happens): void {
  const serving = (machine: Machine): Container | undefined =>
    machine.running().find((container) => answersIn(container, world.nowMs));
  let strays = 0;
  every("crash", 4_000, 15_000, () => {
    const machine = server();
    const container = serving(machine);
    if (!container) return;
    happens("instance crashed", `${container.instance} on ${machine.name}`);
    machine.engine.end(container, { exitCode: 1, outOfMemory: false }, "exited");
  });
  every("sick", 8_000, 25_000, () => {
    const machine = server();
    const container = serving(machine);
    if (!container) return;
    const ms = world.between(500, 10_000);
    happens("readiness failed", `${container.instance} on ${machine.name} for ${ms} ms`);
    container.sickUntilMs = world.nowMs + ms;
    world.after(world.between(10, 400), () => machine.agent?.healthChanged(container));
    world.after(ms + world.between(1, 300), () => machine.agent?.healthChanged(container));
  });
  every("container", 15_000, 45_000, () => {
    const machine = server();
    const [container] = machine.running();
    if (!container) return;
    if (world.chance(0.5)) {
      happens("container removed", `${container.instance} on ${machine.name}`);
      return machine.engine.remove(container);
    }
    // One with our labels that no document ever named: found when the agent starts again.
    happens("orphan container appeared", machine.name);
    strays += 1;
    const orphan = `${container.instance.slice(0, -6)}${String(strays).padStart(6, "0")}` as Container["instance"];
    const desired = { ...container.desired, instance: orphan, singleton: null, job: null, hostPorts: [] };
    machine.engine.adoptStray({ ...desired, resources: { ...desired.resources, cpuMilli: 0 } });
    if (world.chance(0.5)) machine.restartAgent(world.between(100, 2_000));
  });
}
