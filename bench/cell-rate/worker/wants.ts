// What the Cell on the bench is asked: 64 nodes, and instances as an App would have them placed.
import type { DesiredInstance } from "../../../contracts/desired.ts";
import { AGENT_PROTOCOL, EnrolRequest, HeartbeatRequest } from "../../../contracts/agent-protocol.ts";
import type { AppId, CellName, InstanceId, NodeId, ReleaseId, TeamId } from "../../../contracts/ids.ts";
import { ReleaseSpec } from "../../../contracts/release.ts";
import type { CellRpc } from "../../../durable-objects/rpc.ts";
import type { ReserveSlot } from "../../../core/messages.ts";

export const NODES = 64;
const GIB = 1024 ** 3;
const SPEC = ReleaseSpec.parse({
  source: { kind: "image", reference: "bench.invalid/web:1" },
  resources: { cpuMilli: 50, memoryBytes: 64 * 1024 ** 2 },
});

const numbered = <Id extends string>(prefix: string, n: number): Id =>
  `${prefix}_${n.toString(32).padStart(26, "0")}` as Id;
export const appId = (n: number): AppId => numbered("app", n);
const instanceId = (n: number): InstanceId => numbered("ins", n);

export async function enrolNodes(cell: CellRpc, name: CellName): Promise<void> {
  for (let n = 0; n < NODES; n += 1) {
    const request = EnrolRequest.parse({
      ...{ protocol: AGENT_PROTOCOL, token: "used-up-join-token", name: `node-${n}`, failureDomain: `rack-${n % 16}` },
      ...{ signKey: "s".repeat(43), sealKey: "x".repeat(43), region: "bench", gatewayUrl: "http://node.invalid" },
      capacity: { cpuMilli: 64_000, memoryBytes: 512 * GIB, diskBytes: 4_096 * GIB, pids: 4_000_000 },
      ...{ runtime: "docker", platform: "linux/amd64", agentVersion: "bench" },
    });
    const node = numbered<NodeId>("node", n);
    await cell.enrol({ node, cell: name, jkt: "jkt", request, operator: "user:bench" });
    const beat = HeartbeatRequest.parse({
      ...{ protocol: AGENT_PROTOCOL, ackRevision: 1, agentVersion: "bench", observed: [], gatewayReady: true },
      used: { cpuMilli: 0, memoryBytes: 0, diskBytes: 0 },
    });
    await cell.heartbeat({ node, jkt: "jkt", boot: "boot-bench", lane: "heartbeat", seq: 1, request: beat });
  }
}

export function slotOf(n: number): ReserveSlot {
  const { resources, placement } = SPEC;
  return {
    instance: instanceId(n),
    generation: 1,
    ordinal: n,
    resources,
    runtimes: ["docker"],
    placement,
    image: null,
  };
}

export function desiredOf(n: number, app: number): DesiredInstance {
  return {
    ...{ instance: instanceId(n), generation: 1, app: appId(app), appName: `app-${app}`, ordinal: n },
    ...{ team: numbered<TeamId>("team", 1), release: numbered<ReleaseId>("rel", app), version: 1, intent: "run" },
    source: { kind: "image", reference: "bench.invalid/web:1", digest: `sha256:${"0".repeat(64)}` },
    ...{ port: SPEC.port, resources: SPEC.resources, probes: SPEC.probes, stopGraceMs: SPEC.stopGraceMs },
    ...{ readOnlyRoot: false, hasEnvironment: false, privateImage: false, hostPorts: [], singleton: null },
  };
}
