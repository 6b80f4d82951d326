// How a rollout ends before its time, on one stack: by whoever watches over it, and by its judge.
import { onOneStack } from "./shared-world.ts";

onOneStack({
  control: () => import("./suites/rollout-control.ts"),
  "the judge": () => import("./suites/canary-judge.ts"),
});
