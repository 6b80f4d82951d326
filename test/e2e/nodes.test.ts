// What is done with nodes and what happens to them, on one stack. The last suite removes one for good.
import { onOneStack } from "./shared-world.ts";

onOneStack({
  drain: () => import("./suites/drain.ts"),
  faults: () => import("./suites/faults.ts"),
  operations: () => import("./suites/node-operations.ts"),
});
