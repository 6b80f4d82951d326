// People who deploy, roll back, scale, restart, change variables, cancel and repeat themselves, at random.
import { ReleaseSpec } from "../../contracts/release.ts";
import type { Result } from "../../contracts/failures.ts";
import type { AppMethodEvent } from "../../core/app/types.ts";
import type { AppHost, Cluster } from "./cluster.ts";
import type { Checks } from "./checks.ts";
import type { Behaviour } from "./sim-node.ts";
import type { World } from "./world.ts";

const BEHAVIOURS: readonly Behaviour[] = ["good", "good", "good", "good", "slow", "crash", "never", "pullfail"];

export class Operators {
  private keys = 0;
  private readonly world: World;
  private readonly cluster: Cluster;
  private readonly checks: Checks;
  active = true;

  constructor(world: World, cluster: Cluster, checks: Checks) {
    this.world = world;
    this.cluster = cluster;
    this.checks = checks;
  }

  start(): void {
    for (const host of this.cluster.apps.values())
      this.world.after(this.world.between(0, 3_000), () => this.actOn(host, true));
  }

  private actOn(host: AppHost, first: boolean): void {
    if (!this.active) return;
    this.ask(host, first ? this.release("good") : this.choose(host));
    const patient = this.world.chance(0.6);
    this.world.after(patient ? this.world.between(8_000, 40_000) : this.world.between(50, 2_000), () =>
      this.actOn(host, false),
    );
  }

  /** Sometimes the same request comes again: the same key must give the same answer, another body a refusal (13). */
  private ask(host: AppHost, event: AppMethodEvent): void {
    this.world.note(`operator ${event.kind}`);
    const reply = host.take(event) as Result<unknown>;
    this.world.happened(`${event.kind} ${reply.ok ? "accepted" : reply.failure.code}`);
    if (!("idempotencyKey" in event.input) || event.input.idempotencyKey === null || !reply.ok) return;
    this.world.after(this.world.between(1, 5_000), () => {
      const again = host.take(event);
      this.world.happened("request repeated");
      if (JSON.stringify(again) !== JSON.stringify(reply))
        this.checks.faults.push(`13: a repeated ${event.kind} got another answer`);
      const key = event.input as { idempotencyKey: string };
      const other = {
        kind: "scale",
        input: { replicas: 999, actor: "user:sim", idempotencyKey: key.idempotencyKey },
      } as const;
      const refused = host.take(other) as Result<unknown>;
      if (refused.ok || refused.failure.code !== "idempotency_key_reused") {
        this.checks.faults.push(`13: another body under ${key.idempotencyKey} was not refused`);
      }
    });
  }

  private asked() {
    const idempotencyKey = this.world.chance(0.4) ? `key-${(this.keys += 1)}` : null;
    return { actor: "user:sim", idempotencyKey };
  }

  private release(behaviour: Behaviour): AppMethodEvent {
    const huge = this.world.chance(0.05);
    const spec = ReleaseSpec.parse({
      source: { kind: "image", reference: "sim/app:1" },
      command: [behaviour],
      resources: { cpuMilli: huge ? 200_000 : this.world.pick([100, 250, 400]), memoryBytes: 64 * 1024 * 1024 },
    });
    const replicas = this.world.chance(0.3) ? this.world.between(0, 5) : undefined;
    return { kind: "acceptRelease", input: { ...this.asked(), spec, replicas, privateImage: false } };
  }

  private choose(host: AppHost): AppMethodEvent {
    const { rollout } = host.tables.app.get("app")!;
    const dice = this.world.random();
    if (rollout && dice < 0.25) return { kind: "cancelRollout", input: { ...this.asked(), rollout } };
    if (dice < 0.6) return this.release(this.world.pick(BEHAVIOURS));
    if (dice < 0.7) return { kind: "rollback", input: this.asked() };
    if (dice < 0.82) return { kind: "scale", input: { ...this.asked(), replicas: this.world.between(0, 6) } };
    if (dice < 0.91) return { kind: "restart", input: this.asked() };
    if (dice < 0.92) return { kind: "destroy", input: this.asked() };
    return { kind: "changeEnvironment", input: { ...this.asked(), set: { MODE: this.world.hexSeed() }, unset: [] } };
  }
}
