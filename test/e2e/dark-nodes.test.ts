// Nodes that cannot be reached, wholly or by some, on one stack whose nodes have wires of their own.
import { onOneStack } from "./shared-world.ts";

onOneStack(
  {
    "the edge": () => import("./suites/passive-health.ts"),
    "the control plane": () => import("./suites/node-loss.ts"),
  },
  { ownNetworks: true, runtime: "process" },
);
