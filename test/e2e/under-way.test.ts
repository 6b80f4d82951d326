// What is under way while releases follow each other, on one stack whose drains last long enough to see.
import { DRAIN_MS } from "./rollout-support.ts";
import { onOneStack } from "./shared-world.ts";

onOneStack(
  {
    "many releases": () => import("./suites/many-releases.ts"),
    "held visits": () => import("./suites/draining.ts"),
  },
  { tuning: { drainMs: DRAIN_MS, drainMinMs: DRAIN_MS } },
);
