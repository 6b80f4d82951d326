// How customers have their releases rolled: any strategy, judged or not, with commands and smoke checks, at random.
import { RolloutPlan, type CanaryStep } from "../../contracts/rollout-plan.ts";
import type { Errand } from "./node/engine.ts";
import type { World } from "./world.ts";

/** Nothing but its judge says when it may go on. */
export const CAREFUL = RolloutPlan.parse({
  strategy: {
    kind: "canary",
    steps: [
      { weight: 10, durationMs: 8_000 },
      { weight: 50, durationMs: 8_000 },
    ],
  },
});

export function planBy(world: World): RolloutPlan {
  const analysis = world.chance(0.7) ? { noTraffic: world.pick(["hold", "pass", "pass"] as const) } : null;
  return RolloutPlan.parse({
    strategy: strategyBy(world),
    analysis,
    ...(world.chance(0.2) ? { smoke: { path: "/health" } } : {}),
    ...(world.chance(0.2) ? { before: commandBy(world) } : {}),
    ...(world.chance(0.15) ? { after: commandBy(world) } : {}),
  });
}

function strategyBy(world: World): unknown {
  switch (world.pick(["rolling", "blue_green", "canary", "canary", "immediate"] as const)) {
    case "rolling":
      return {
        kind: "rolling",
        ...(world.chance(0.3) ? {} : roomBy(world)),
        pauseMs: world.pick([0, 0, 1_500]),
      };
    case "blue_green":
      return {
        kind: "blue_green",
        promote: world.chance(0.3) ? "manual" : "automatic",
        watchMs: world.pick([0, 2_000, 8_000]),
        warmMs: world.pick([0, 5_000, 20_000]),
      };
    case "canary":
      return { kind: "canary", steps: stepsBy(world) };
    case "immediate":
      return { kind: "immediate" };
  }
}

function roomBy(world: World): object {
  const maxSurge = world.pick([0, 1, 2, "50%", "100%"]);
  return { maxSurge, maxUnavailable: maxSurge === 0 ? world.pick([1, 2, "50%"]) : world.pick([0, 0, 1, "25%"]) };
}

function stepsBy(world: World): CanaryStep[] {
  const weights = [5, 10, 25, 50, 99].filter(() => world.chance(0.4));
  return (weights.length > 0 ? weights : [20]).map((weight) => {
    return world.chance(0.2) ? { weight } : { weight, durationMs: world.between(1_000, 6_000) };
  });
}

/** The last word makes each of them one of its kind. */
function commandBy(world: World): { command: string[]; timeoutMs: number } {
  const errand: Errand = world.chance(0.8) ? "ends" : world.pick(["breaks", "hangs"]);
  return { command: ["errand", errand, world.hexSeed().slice(0, 12)], timeoutMs: world.between(2_000, 5_000) };
}
