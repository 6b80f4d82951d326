// What is wrong with a node, and what mends it: its phase, then each condition that it tells of. docs/OPERATING.md, "Alarms", has a row for each.
import type { NodeCondition } from "../../contracts/agent-protocol.ts";
import type { Node } from "../../contracts/api.ts";
import { shownMs } from "../duration.ts";
import { fault, fine, type Finding } from "./finding.ts";

type Looked = Pick<Node, "name" | "phase" | "conditions" | "instances" | "ackRevision" | "lastHeartbeatAtMs">;

const HEARTBEAT_LATE_MS = 10_000;

/** By condition, what to type; {node} is the node's name. */
export const CONDITION_MENDS: Readonly<Record<NodeCondition["kind"], string>> = {
  disk_pressure: "berth nodes events {node}: what was cleaned up; then on {node}: df -h /var/lib/docker /var/lib/berth",
  engine_down: "on {node}: systemctl restart docker && journalctl -u docker -n 50",
  gateway_down: "on {node}: tail /var/lib/berth/gateway.log; systemctl restart berth-agent",
  certificate_missing:
    "berth nodes events {node}: the refused order; until then it is reached without TLS or not at all",
  certificate_expiring: "berth nodes events {node}: why renewal fails; or give one by --tls-cert and --tls-key",
  clock_wrong: "on {node}: timedatectl set-ntp true",
  not_reachable:
    "on {node}: tail /var/lib/berth/gateway.log /var/lib/berth/cloudflared.log; berth nodes ls: who could relay?",
  isolation_missing:
    "on {node}: iptables-save -t filter (is iptables there, and may the agent use it?); then systemctl restart berth-agent",
  isolation_weak: 'docs/OPERATING.md, "Keeping tenants apart": what each word of it asks for',
  identity_cloned: "on the copy: sh install.sh --uninstall --containers stop, then install it with a new token",
};

/** nowMs: wall time. A removed node is nobody's concern: no finding. */
export function nodeFindings(node: Looked, nowMs: number): Finding[] {
  if (node.phase === "removed") return [];
  const check = `node ${node.name}`;
  return [ofPhase(node, check, nowMs), ...node.conditions.map((condition) => ofCondition(node, condition, nowMs))];
}

function ofPhase(
  { name, phase, instances, ackRevision, lastHeartbeatAtMs }: Looked,
  check: string,
  nowMs: number,
): Finding {
  const restart = `on ${name}: systemctl status berth-agent; journalctl -u berth-agent -n 50`;
  if (lastHeartbeatAtMs === null) return fault(check, `${phase}, never heard of`, restart);
  const silentMs = nowMs - lastHeartbeatAtMs;
  if (phase === "ready" && silentMs < HEARTBEAT_LATE_MS)
    return fine(check, `ready, ${instances} instances, revision ${ackRevision}`);
  return fault(check, `${phase}, last heard of ${shownMs(silentMs)} ago`, restart);
}

function ofCondition({ name }: Looked, { kind, message, sinceMs }: NodeCondition, nowMs: number): Finding {
  const detail = `${kind} for ${shownMs(nowMs - sinceMs)}: ${message}`;
  return fault(`node ${name}`, detail, CONDITION_MENDS[kind].replaceAll("{node}", name));
}
