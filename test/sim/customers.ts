// People who deploy, roll back, split, scale, restart, command rollouts, destroy and repeat themselves, at random.
import type { Result } from "../../contracts/failures.ts";
import type { Rollout } from "../../contracts/api.ts";
import type { AppMethodEvent, Asked } from "../../core/app/types.ts";
import type { RolloutRow } from "../../core/rollout/types.ts";
import type { AppSite, Cluster } from "./cluster.ts";
import { LOST_REPLY } from "./network.ts";
import type { Behaviour } from "./node/engine.ts";
import { canaryOf, releaseOf, wishOf, wordOf } from "./wishes.ts";
import type { World } from "./world.ts";

/** hasty: anything at any moment. careful: canaries, which are left to their judge. */
export type Manner = "hasty" | "careful";

/** What customers may deploy; classes of faults that are off take their kind out. */
export class Customers {
  readonly faults: string[] = [];
  isActive = true;
  private keys = 0;
  private readonly world: World;
  private readonly cluster: Cluster;
  private readonly behaviours: readonly Behaviour[];
  private readonly manner: Manner;

  constructor(world: World, cluster: Cluster, behaviours: readonly Behaviour[], manner: Manner) {
    this.world = world;
    this.cluster = cluster;
    this.behaviours = behaviours;
    this.manner = manner;
  }

  start(): void {
    const { world } = this;
    for (const site of this.cluster.apps.values()) {
      world.after(world.between(0, 3_000), () => this.actOn(site, true));
      if (this.manner === "careful") continue;
      world.every(
        500,
        5_000,
        () => this.watch(site),
        () => !this.isActive,
      );
    }
  }

  /** They go home: nothing stays paused, held for them or switched off; but for what they forget. */
  leave(): void {
    this.isActive = false;
    for (const { host } of this.cluster.apps.values()) {
      if (host.tables.app.get("app")?.maintenance) {
        host.ask({ kind: "setMaintenance", input: { ...this.asked(), on: false } });
      }
      const row = rolloutOf(host);
      if (!row || this.world.chance(0.3)) continue;
      const command = this.world.pick(["resume", "promote", "abort"] as const);
      host.ask({ kind: "controlRollout", input: { ...this.asked(), rollout: row.id, command } });
    }
  }

  private watch(site: AppSite): void {
    const row = rolloutOf(site.host);
    if (row && this.world.chance(0.2)) this.say(site, row);
  }

  /** 22: whatever a rollout does, it can be paused, resumed, aborted and cancelled. */
  private say(site: AppSite, row: RolloutRow): void {
    const event = wordOf(this.world, row, this.asked());
    const { command } = event.input;
    const { phase } = row;
    const reply = this.ask(site, event) as Result<Rollout> | null;
    if (!reply) return;
    this.world.happened(
      `${command}${event.input.full ? " fully" : ""} while ${phase.kind}: ${reply.ok ? "taken" : reply.failure.code}`,
    );
    if (reply.ok || reply.failure.code === "precondition_failed") return;
    if (command === "promote" && reply.failure.code === "conflict") return;
    this.faults.push(`22: ${site.host.name} refused to ${command} ${row.id}, which was ${phase.kind}`);
  }

  private actOn(site: AppSite, isFirst: boolean): void {
    if (!this.isActive) return;
    const { world } = this;
    const asked = this.asked();
    const isPatient = this.manner === "careful" || world.chance(0.7);
    if (isFirst) this.ask(site, releaseOf(world, site, asked, "good"));
    else if (this.manner === "hasty") this.ask(site, wishOf(world, site, asked, this.behaviours));
    // A release that is tried is not disturbed by the next.
    else if (!rolloutOf(site.host)) this.ask(site, canaryOf(world, site, asked, this.behaviours));
    this.world.after(isPatient ? this.world.between(8_000, 40_000) : this.world.between(50, 2_000), () =>
      this.actOn(site, false),
    );
  }

  /** Sometimes the same request comes again: the same key must give the same answer, another body a refusal (13). */
  private ask(site: AppSite, event: AppMethodEvent): Result<unknown> | null {
    const { world } = this;
    const { host } = site;
    world.note(`customer of ${host.name}: ${describe(event)}`);
    const reply = host.take(event) as Result<unknown>;
    const key = "idempotencyKey" in event.input ? event.input.idempotencyKey : null;
    if ((reply as unknown) === LOST_REPLY) {
      // Nobody knows whether it was taken in; with a key it may be asked again.
      if (key !== null) world.after(world.between(200, 3_000), () => void this.ask(site, event));
      return null;
    }
    world.happened(`${event.kind} ${reply.ok ? "accepted" : reply.failure.code}`);
    if (key === null || !reply.ok) return reply;
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
    return reply;
  }

  private asked(): Asked {
    const idempotencyKey = this.world.chance(0.4) ? `key-${(this.keys += 1)}` : null;
    return { actor: "user:sim", idempotencyKey };
  }
}

const rolloutOf = ({ tables }: AppSite["host"]): RolloutRow | null => {
  const id = tables.app.get("app")?.rollout;
  return (id && tables.rollouts.get(id)) || null;
};

function describe(event: AppMethodEvent): string {
  if (event.kind === "acceptRelease") {
    const { spec, plan } = event.input;
    return `deploys a ${spec.command?.[0]} release, ${plan ? JSON.stringify(plan.strategy) : "as before"}`;
  }
  if (event.kind === "controlRollout") return event.input.command;
  if (event.kind === "setTraffic") {
    return `splits ${event.input.weights.map(({ version, weight }) => `v${version}=${weight}`).join(" ")}`;
  }
  if (event.kind === "scale") return `scales to ${event.input.replicas}`;
  return event.kind;
}
