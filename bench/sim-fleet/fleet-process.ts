// A process of simulated nodes: enrols them with join tokens, then lets them beat and poll, and reports when it is asked.
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { makeJoinToken } from "../../dev/stack/operator.ts";
import type { FleetWish, FromFleet, ToFleet } from "./fleet-messages.ts";
import type { Counts } from "./counts.ts";
import { SimAgent } from "./sim-agent.ts";

const wish = JSON.parse(process.argv[2] ?? "{}") as FleetWish;
const counts = emptyCounts();
const loopDelay = monitorEventLoopDelay({ resolution: 5 });

// In place of all nodes' gateways: every replica of a rollout must answer before it is completed.
const gateway = createServer((_, answer) => answer.end("ready\n"));
await new Promise<void>((resolve) => gateway.listen(0, "127.0.0.1", resolve));
const gatewayUrl = `http://127.0.0.1:${(gateway.address() as AddressInfo).port}`;

const beganMs = performance.now();
const agents: SimAgent[] = [];
const cells = new Set<string>();
let next = wish.firstNode;
await Promise.all(Array.from({ length: wish.enrolAtOnce }, enrolSome));
for (const agent of agents) setTimeout(() => agent.start(), Math.random() * wish.startWithinMs);
loopDelay.enable();
let cpuBefore = process.cpuUsage();
say({ kind: "enrolled", tookMs: performance.now() - beganMs, cells: [...cells] });

process.on("message", (message: ToFleet) => {
  switch (message.kind) {
    case "report":
      return report();
    case "back":
      return agents.forEach(({ homecoming }) => homecoming.begin(message.sinceMs));
    case "returned":
      return say({ kind: "returned", agents: agents.map(({ homecoming }) => homecoming.read()) });
    case "upgrades":
      return say({ kind: "upgrades", agents: agents.flatMap(({ upgrade }) => upgrade?.read() ?? []) });
    case "keep":
      return agents.splice(message.nodes).forEach((agent) => agent.stop());
    case "stop":
      for (const agent of agents) agent.stop();
      process.exit(0);
  }
});
process.once("disconnect", () => process.exit(0));

async function enrolSome(): Promise<void> {
  while (next < wish.firstNode + wish.nodes) {
    const number = next++;
    const { controlUrl, region, operatorToken, transport, upgrade } = wish;
    const name = `sim-${String(number).padStart(5, "0")}`;
    const place = { controlUrl, region, name, gatewayUrl, failureDomain: `rack-${number % 16}` };
    const agent = new SimAgent({ ...place, counts, transport, ...(upgrade ? { upgrade } : {}) });
    cells.add(await agent.enrol(await makeJoinToken(controlUrl, operatorToken, region)));
    agents.push(agent);
  }
}

function report(): void {
  const { user, system } = process.cpuUsage(cpuBefore);
  cpuBefore = process.cpuUsage();
  const cpuMs = (user + system) / 1_000;
  say({ kind: "report", counts, cpuMs, loopDelayP99Ms: loopDelay.percentile(99) / 1e6 });
  Object.assign(counts, emptyCounts());
  loopDelay.reset();
}

function emptyCounts(): Counts {
  const beats = { heartbeatMs: [], socketBeats: 0, sockets: 0 };
  return { wakes: [], ...beats, pollsTimedOut: 0, pollsAnsweredAtOnce: 0, failures: {} };
}

function say(message: FromFleet): void {
  process.send?.(message);
}
