// What people ask of their apps: a release, a way back, another size, a split, a word to the rollout under way; at random.
import { ReleaseSpec } from "../../contracts/release.ts";
import { ROLLOUT_COMMANDS } from "../../contracts/rollout-plan.ts";
import type { RolloutRow } from "../../core/rollout/types.ts";
import type { AppMethodEvent, Asked } from "../../core/app/types.ts";
import { policyOf } from "./app-kinds.ts";
import type { AppSite } from "./cluster.ts";
import { NO_IMAGE, type Behaviour } from "./node/engine.ts";
import { CAREFUL, planBy } from "./plans.ts";
import type { World } from "./world.ts";

const MIB = 1024 ** 2;

type ReleaseAsked = Extract<AppMethodEvent, { kind: "acceptRelease" }>;

export function releaseOf(world: World, { kind }: AppSite, asked: Asked, behaviour: Behaviour): ReleaseAsked {
  const { placement, replicasMax } = policyOf(kind);
  const isHuge = world.chance(0.05);
  const spec = ReleaseSpec.parse({
    source: { kind: "image", reference: behaviour === "no-image" ? NO_IMAGE : "sim/app:1" },
    command: [behaviour],
    resources: { cpuMilli: isHuge ? 200_000 : world.pick([100, 250, 400]), memoryBytes: 64 * MIB },
    placement,
  });
  const replicas = world.chance(0.3) ? world.between(0, replicasMax) : undefined;
  const plan = world.chance(0.7) ? { plan: planBy(world) } : {};
  return { kind: "acceptRelease", input: { ...asked, spec, replicas, ...plan, privateImage: false } };
}

/** As many bad ones as good ones, in the same number and with nothing else wrong, for the judge to tell them apart; some die now and then. */
export function canaryOf(world: World, site: AppSite, asked: Asked, behaviours: readonly Behaviour[]): ReleaseAsked {
  const dying = behaviours.filter((behaviour) => behaviour === "hungry");
  const { input } = releaseOf(world, site, asked, world.pick(["good", "good", "faulty", "faulty", ...dying]));
  const resources = { ...input.spec.resources, cpuMilli: 100 };
  return {
    kind: "acceptRelease",
    input: { ...input, spec: { ...input.spec, resources }, replicas: undefined, plan: CAREFUL },
  };
}

export function wishOf(world: World, site: AppSite, asked: Asked, behaviours: readonly Behaviour[]): AppMethodEvent {
  const { replicasMax } = policyOf(site.kind);
  const { maintenance = false, warm } = site.host.tables.app.get("app")!;
  const dice = world.random();
  // What is warm is what a rollback is for.
  if (warm && dice < 0.5) return { kind: "rollback", input: asked };
  if (maintenance) return { kind: "setMaintenance", input: { ...asked, on: false } };
  if (dice < 0.5) return releaseOf(world, site, asked, world.pick(behaviours));
  if (dice < 0.6) return { kind: "rollback", input: { ...asked, ...backTo(world, site) } };
  if (dice < 0.7) return { kind: "scale", input: { ...asked, replicas: world.between(0, replicasMax) } };
  if (dice < 0.78) return { kind: "restart", input: asked };
  if (dice < 0.88)
    return { kind: "setTraffic", input: { ...asked, weights: weightsOf(world, site), force: world.chance(0.3) } };
  if (dice < 0.9) return { kind: "setMaintenance", input: { ...asked, on: true } };
  if (dice < 0.91) return { kind: "destroy", input: asked };
  return { kind: "changeEnvironment", input: { ...asked, set: { MODE: world.hexSeed() }, unset: [] } };
}

/** To the rollout that the person sees; by an ETag that may be old. */
export function wordOf(
  world: World,
  row: RolloutRow,
  asked: Asked,
): Extract<AppMethodEvent, { kind: "controlRollout" }> {
  const isLikely = world.chance(0.4);
  const likely = row.paused ? "resume" : row.phase.kind === "holding" ? "promote" : "pause";
  const command = isLikely ? likely : world.pick(ROLLOUT_COMMANDS);
  const ifRevision = (row.revision ?? 0) - (world.chance(0.2) ? 1 : 0);
  const etag = world.chance(0.3) ? { ifRevision } : {};
  const full = command === "promote" && world.chance(0.25) ? { full: true } : {};
  return { kind: "controlRollout", input: { ...asked, rollout: row.id, command, ...full, ...etag } };
}

/** To what served before; or to any that is kept, good or bad. */
function backTo(world: World, site: AppSite): { version?: number; force?: boolean } {
  const versions = [...site.host.tables.releases.values()].map(({ release }) => release.version);
  if (versions.length === 0 || world.chance(0.6)) return {};
  return { version: world.pick(versions), force: world.chance(0.5) };
}

/** Of the releases that are kept, some of which never served. */
function weightsOf(world: World, site: AppSite): { version: number; weight: number }[] {
  const versions = [...site.host.tables.releases.values()].map(({ release }) => release.version);
  const chosen: number[] = [];
  for (let count = world.between(1, 3); count > 0 && versions.length > 0; count -= 1) {
    chosen.push(...versions.splice(world.between(0, versions.length - 1), 1));
  }
  let left = 100;
  return chosen.map((version, at) => {
    const weight = at === chosen.length - 1 ? left : world.between(1, left - (chosen.length - 1 - at));
    left -= weight;
    return { version, weight };
  });
}
