// How releases move, on one stack: a user's first path, every strategy, and what a release has to pass.
import { onOneStack } from "./shared-world.ts";

onOneStack({
  deploy: () => import("./suites/deploy.ts"),
  rollouts: () => import("./suites/rollouts.ts"),
  "rollout checks": () => import("./suites/rollout-checks.ts"),
});
