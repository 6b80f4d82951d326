// What needs no more than one node, on one stack: teams, registries, and what flows through edge and gateway.
import { onOneStack } from "./shared-world.ts";

onOneStack(
  {
    tenants: () => import("./suites/tenants.ts"),
    "a private image": () => import("./suites/private-image.ts"),
    streams: () => import("./suites/streams.ts"),
  },
  { agents: 1 },
);
