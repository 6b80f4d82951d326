// A server's container Engine and registry as the agent sees them: pulls, named containers with labels, exits; outlives the agent.
import type { DesiredInstance } from "../../../contracts/desired.ts";
import type { InstanceFailure } from "../../../contracts/failures.ts";
import type { AppId, InstanceId } from "../../../contracts/ids.ts";
import type { World } from "../world.ts";
import type { EndCause, Ground } from "./ground.ts";

/**
 * How a release's instances behave; carried as its command. faulty: 5 % of its answers are errors. unfit: it answers, but not as a
 * smoke check wants.
 */
export type Behaviour = "good" | "slow" | "faulty" | "unfit" | "crashing" | "never" | "no-image" | "hungry";

/** What a no-image release names, for its commands too. */
export const NO_IMAGE = "sim/none:1";

/** What a command before or after a release comes to; carried as its second word. */
export const ERRANDS = ["ends", "breaks", "hangs"] as const;
export type Errand = (typeof ERRANDS)[number];
const errandOf = ({ command }: DesiredInstance): Errand => (command?.[1] ?? "ends") as Errand;

export interface Container {
  readonly name: string;
  readonly instance: InstanceId;
  readonly generation: number;
  readonly app: AppId;
  readonly desired: DesiredInstance;
  /** Rises with each start. */
  life: number;
  state: "created" | "running" | "exited";
  /** When this run would pass its readiness probe; Infinity: never. */
  readyAtMs: number;
  /** It fails its readiness probe until then. */
  sickUntilMs: number;
  exit: Exit | null;
}
export interface Exit {
  readonly exitCode: number | null;
  readonly outOfMemory: boolean;
}

export class Engine {
  readonly containers = new Map<string, Container>();
  /** What was pulled already, by release. */
  private readonly images = new Set<string>();
  private isUp = true;
  /** What was asked of it before it lost its power is forgotten. */
  private boot = 0;
  /** Pulls fail, or crawl, until then. */
  pullsFailUntilMs = 0;
  pullsCrawlUntilMs = 0;
  onExit: (container: Container, life: number, exit: Exit) => void = () => undefined;
  private readonly world: World;
  private readonly ground: Ground;

  constructor(world: World, ground: Ground) {
    this.world = world;
    this.ground = ground;
  }

  list(): Container[] {
    return [...this.containers.values()];
  }
  find(of: { readonly instance: string; readonly generation: number }): Container | undefined {
    return this.containers.get(containerName(of));
  }
  isUpNow(): boolean {
    return this.isUp;
  }

  /** Progress, then done or why not. What is here already takes no time. */
  prepare(desired: DesiredInstance, ports: PullPorts): void {
    const { world } = this;
    if (this.images.has(desired.release)) return world.after(1, ports.done);
    const isCrawling = world.nowMs < this.pullsCrawlUntilMs;
    if (isCrawling) world.happened("slow pull");
    const tookMs = isCrawling ? world.between(2_000, 9_000) : world.between(10, 400);
    world.after(tookMs / 2, () => ports.progress(50));
    world.after(tookMs, () => {
      if (desired.source.kind === "image" && desired.source.reference === NO_IMAGE)
        return ports.failed("image_not_found", "no such image");
      if (world.nowMs < this.pullsFailUntilMs) {
        world.happened("pull failed");
        return ports.failed("image_pull_failed", "the registry does not answer");
      }
      this.images.add(desired.release);
      ports.done();
    });
  }

  /**
   * Creates and starts; what has the name already is started if it has ended, and is never made twice. isWanted: asked again
   * after every wait for a daemon that is away.
   */
  launch(desired: DesiredInstance, isWanted: () => boolean, done: (container: Container | null) => void): void {
    this.whenUp(this.world.between(5, 80), () => {
      if (!isWanted()) return done(null);
      const name = containerName(desired);
      const known = this.containers.get(name);
      const container = known ?? this.create(desired, name);
      if (container.state !== "running") this.start(container);
      done(container);
    });
  }
  create(desired: DesiredInstance, name: string): Container {
    const { instance, generation, app } = desired;
    const facts = { name, instance, generation, app, desired };
    const run = { life: 0, state: "created" as const, readyAtMs: Infinity, sickUntilMs: 0, exit: null };
    const container: Container = { ...facts, ...run };
    this.containers.set(name, container);
    return container;
  }

  /** Somebody ran it by hand, with our labels. */
  adoptStray(desired: DesiredInstance): void {
    const name = containerName(desired);
    if (!this.containers.has(name)) this.start(this.create(desired, name));
  }

  /** null: it is no longer there. */
  restart(
    container: Container,
    isWanted: () => boolean,
    done: (found: Container | null) => void,
    missed: () => void,
  ): void {
    this.whenUp(this.world.between(2, 40), () => {
      if (!isWanted()) return missed();
      if (this.containers.get(container.name) !== container) return done(null);
      if (container.state !== "running") this.start(container);
      done(container);
    });
  }

  stop(container: Container, cause: "stopped" | "fenced", done: () => void): void {
    this.whenUp(this.world.between(20, 600), () => {
      this.end(container, { exitCode: 0, outOfMemory: false }, cause);
      this.containers.delete(container.name);
      done();
    });
  }
  kill(container: Container): void {
    this.whenUp(this.world.between(1, 20), () => {
      this.end(container, { exitCode: 137, outOfMemory: false }, "killed");
    });
  }

  /** From outside, or of itself. */
  end(container: Container, exit: Exit, cause: EndCause): void {
    if (container.state !== "running") return;
    container.state = "exited";
    container.exit = exit;
    this.ground.ended(container, cause);
    const { life } = container;
    if (cause !== "power") this.world.after(this.world.between(1, 10), () => this.onExit(container, life, exit));
  }
  remove(container: Container): void {
    this.end(container, { exitCode: null, outOfMemory: false }, "removed");
    this.containers.delete(container.name);
  }
  losePower(): void {
    this.boot += 1;
    for (const container of this.list()) this.end(container, { exitCode: null, outOfMemory: false }, "power");
  }
  /** The daemon goes and comes back; containers run on. */
  restartFor(ms: number): void {
    this.isUp = false;
    this.world.after(ms, () => (this.isUp = true));
  }

  mend(): void {
    this.isUp = true;
    this.pullsFailUntilMs = 0;
    this.pullsCrawlUntilMs = 0;
  }

  /** Nothing of its own volition happens while the daemon is away: who asked waits. */
  private whenUp(delayMs: number, act: () => void): void {
    const { boot } = this;
    this.world.after(delayMs, () => {
      if (boot !== this.boot) return;
      if (this.isUp) act();
      else this.whenUp(200, act);
    });
  }

  private start(container: Container): void {
    const { world } = this;
    const life = (container.life += 1);
    container.state = "running";
    container.exit = null;
    const behaviour = behaviourOf(container.desired);
    const bootMs = behaviour === "slow" ? world.between(2_000, 6_000) : world.between(20, 600);
    container.readyAtMs = behaviour === "never" ? Infinity : world.nowMs + bootMs;
    this.ground.started(container);
    if (container.desired.job) return this.runErrand(container, life);
    const endsAfter = (ms: number, outOfMemory: boolean): void =>
      world.after(ms, () => {
        if (container.life !== life || container.state !== "running") return;
        if (outOfMemory && !world.isStormy) return;
        world.happened(outOfMemory ? "out of memory" : "crash-looping release");
        this.end(container, { exitCode: outOfMemory ? 137 : 1, outOfMemory }, "exited");
      });
    if (behaviour === "crashing") endsAfter(bootMs / 2, false);
    if (behaviour === "hungry") endsAfter(bootMs + world.between(500, 12_000), true);
  }

  /** Ends by itself, unless it hangs; it is never ready. */
  private runErrand(container: Container, life: number): void {
    const { world } = this;
    const errand = errandOf(container.desired);
    container.readyAtMs = Infinity;
    if (errand === "hangs") return;
    world.after(world.between(50, 1_500), () => {
      if (container.life !== life) return;
      this.end(container, { exitCode: errand === "ends" ? 0 : 3, outOfMemory: false }, "exited");
    });
  }
}

export interface PullPorts {
  readonly progress: (percent: number) => void;
  readonly done: () => void;
  readonly failed: (code: InstanceFailure["code"], message: string) => void;
}

export const containerName = ({ instance, generation }: { instance: string; generation: number }): string =>
  `berth-${instance}-${generation}`;

export const behaviourOf = (desired: DesiredInstance): Behaviour => (desired.command?.[0] ?? "good") as Behaviour;
