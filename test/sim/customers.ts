// People who deploy, roll back, scale, restart, change variables, cancel, destroy and repeat themselves, at random.
import type { Result } from "../../contracts/failures.ts";
import { ReleaseSpec } from "../../contracts/release.ts";
import type { AppMethodEvent } from "../../core/app/types.ts";
import { policyOf } from "./app-kinds.ts";
import type { AppSite, Cluster } from "./cluster.ts";
import { LOST_REPLY } from "./network.ts";
import type { Behaviour } from "./node/engine.ts";
import type { World } from "./world.ts";

const MIB = 1024 ** 2;

/** What customers may deploy; classes of faults that are off take their kind out. */
export class Customers {
  readonly faults: string[] = [];
  isActive = true;
  private keys = 0;
  private readonly world: World;
  private readonly cluster: Cluster;
  private readonly behaviours: readonly Behaviour[];

  constructor(world: World, cluster: Cluster, behaviours: readonly Behaviour[]) {
    this.world = world;
    this.cluster = cluster;
    this.behaviours = behaviours;
  }

  start(): void {
    for (const site of this.cluster.apps.values())
      this.world.after(this.world.between(0, 3_000), () => this.actOn(site, true));
  }

  private actOn(site: AppSite, isFirst: boolean): void {
    if (!this.isActive) return;
    this.ask(site, isFirst ? this.release(site, "good") : this.choose(site));
    const isPatient = this.world.chance(0.7);
    this.world.after(isPatient ? this.world.between(8_000, 40_000) : this.world.between(50, 2_000), () =>
      this.actOn(site, false),
    );
  }

  /** Sometimes the same request comes again: the same key must give the same answer, another body a refusal (13). */
  private ask(site: AppSite, event: AppMethodEvent): void {
    const { world } = this;
    const { host } = site;
    world.note(`customer of ${host.name}: ${describe(event)}`);
    const reply = host.take(event) as Result<unknown>;
    const key = "idempotencyKey" in event.input ? event.input.idempotencyKey : null;
    if ((reply as unknown) === LOST_REPLY) {
      // Nobody knows whether it was taken in; with a key it may be asked again.
      if (key !== null) world.after(world.between(200, 3_000), () => this.ask(site, event));
      return;
    }
    world.happened(`${event.kind} ${reply.ok ? "accepted" : reply.failure.code}`);
    if (key === null || !reply.ok) return;
    world.after(world.between(1, 5_000), () => {
      const again = host.ask(event);
      world.happened("request repeated");
      if (JSON.stringify(again) !== JSON.stringify(reply)) {
        this.faults.push(`13: a repeated ${event.kind} of ${host.name} got another answer`);
      }
      const other = { kind: "scale", input: { replicas: 999, actor: "user:sim", idempotencyKey: key } } as const;
      const refused = host.ask(other) as Result<unknown>;
      if (refused.ok || refused.failure.code !== "idempotency_key_reused") {
        this.faults.push(`13: another body under ${key} was not refused`);
      }
    });
  }

  private asked() {
    const idempotencyKey = this.world.chance(0.4) ? `key-${(this.keys += 1)}` : null;
    return { actor: "user:sim", idempotencyKey };
  }

  private release({ kind }: AppSite, behaviour: Behaviour): AppMethodEvent {
    const { world } = this;
    const { placement, replicasMax } = policyOf(kind);
    const isHuge = world.chance(0.05);
    const spec = ReleaseSpec.parse({
      source: { kind: "image", reference: "sim/app:1" },
      command: [behaviour],
      resources: { cpuMilli: isHuge ? 200_000 : world.pick([100, 250, 400]), memoryBytes: 64 * MIB },
      placement,
    });
    const replicas = world.chance(0.3) ? world.between(0, replicasMax) : undefined;
    return { kind: "acceptRelease", input: { ...this.asked(), spec, replicas, privateImage: false } };
  }

  private choose(site: AppSite): AppMethodEvent {
    const { world } = this;
    const { rollout } = site.host.tables.app.get("app")!;
    const { replicasMax } = policyOf(site.kind);
    const dice = world.random();
    if (rollout && dice < 0.25) return { kind: "cancelRollout", input: { ...this.asked(), rollout } };
    if (dice < 0.6) return this.release(site, world.pick(this.behaviours));
    if (dice < 0.7) return { kind: "rollback", input: this.asked() };
    if (dice < 0.82) return { kind: "scale", input: { ...this.asked(), replicas: world.between(0, replicasMax) } };
    if (dice < 0.91) return { kind: "restart", input: this.asked() };
    if (dice < 0.92) return { kind: "destroy", input: this.asked() };
    return { kind: "changeEnvironment", input: { ...this.asked(), set: { MODE: world.hexSeed() }, unset: [] } };
  }
}

function describe(event: AppMethodEvent): string {
  if (event.kind === "acceptRelease") return `deploys a ${event.input.spec.command?.[0]} release`;
  if (event.kind === "scale") return `scales to ${event.input.replicas}`;
  return event.kind;
}
