// One node on the screen: what it has and gives, what is wrong with it, what an operator asked of it, what runs there.
import pc from "picocolors";
import type { Node, NodeInstance } from "../../contracts/api.ts";
import { hostPortsText } from "../../contracts/host-ports.ts";
import type { Context } from "../context.ts";
import { ago, bytes, phase } from "../output.ts";
import { shownHolding } from "./watch-drain.ts";

/** Its phase, and beside it what an operator said. */
export function nodeState(node: Node): string {
  const word = node.drain === null ? (node.cordoned ? "cordoned" : null) : node.drain.state;
  return word === null ? phase(node.phase) : `${phase(node.phase)} ${pc.yellow(word)}`;
}

export function showNode(context: Context, node: Node, instances: readonly NodeInstance[]): void {
  const { out } = context;
  const nowMs = Date.now();
  const heard = node.lastHeartbeatAtMs === null ? "never heard" : `heard ${ago(node.lastHeartbeatAtMs, nowMs)}`;
  out.line(`${pc.bold(node.name)}  ${nodeState(node)}  ${heard}  ${pc.dim(node.id)}`);
  const labels = Object.entries(node.labels).map(([name, value]) => `${name}=${value}`);
  const place = `region ${node.region}, cell ${node.cell}, rack ${node.failureDomain}`;
  out.line(`${place}${labels.length === 0 ? "" : `, ${labels.join(" ")}`}`);
  out.line(`${node.runtime} on ${node.platform}, agent ${node.agentVersion}, gateway ${node.gatewayUrl}`);
  const reach = reachText(node);
  if (reach !== null) out.line(reach);
  if (node.hostPorts) out.line(`host ports for instances: ${hostPortsText(node.hostPorts)}${hostPortsNote(node)}`);
  if (node.isolation) out.line(isolationText(node.isolation));
  const behind = node.revision === node.ackRevision ? "" : `, the node has ${node.ackRevision}`;
  out.line(`desired document ${node.revision}${behind}; enrolled ${ago(node.enrolledAtMs, nowMs)}`);
  for (const condition of node.conditions) {
    const kind = condition.kind.replaceAll("_", " ");
    out.line(pc.red(`! ${kind} for ${ago(condition.sinceMs, nowMs).replace(/ ago$/, "")}: ${condition.message}`));
  }
  showDrain(context, node);
  showRoom(context, node);
  showInstances(context, instances);
}

export function isolationText(isolation: NonNullable<Node["isolation"]>): string {
  const { runtimeClasses, userNamespaces, seccomp, confined, firewall } = isolation;
  const words = [
    `runtimes ${runtimeClasses.join(", ")}`,
    `firewall between tenants ${firewall}`,
    userNamespaces ? "user namespaces" : "no user namespaces",
    seccomp ? "seccomp" : "no seccomp",
    confined ? "AppArmor or SELinux" : "no AppArmor or SELinux",
  ];
  return `tenants apart by: ${words.join(", ")}`;
}

/** null: directly, which goes without saying. */
export function reachText({ reach }: Pick<Node, "reach">): string | null {
  switch (reach?.kind) {
    case undefined:
      return null;
    case "cloudflared":
      return "reached through its own cloudflared";
    case "relay":
      return reach.through === null
        ? "cannot be reached: it has no connection to any relay"
        : `reached through ${reach.through.name} (${reach.through.id}), with connections to ${reach.held} relays`;
  }
}

/** Where a port of the node is no port that a visitor could dial. */
function hostPortsNote({ reach }: Pick<Node, "reach">): string {
  return reach === undefined
    ? ""
    : "; nobody dials them here: the region's ingress hands on those named by --host-ports";
}

function showDrain({ out }: Context, { drain }: Node): void {
  if (drain === null) return;
  const since = ago(drain.sinceMs, Date.now());
  out.line(`drain by ${drain.startedBy}, begun ${since}: ${drain.moved} moved, ${drain.remaining} to go`);
  for (const held of drain.holding) out.line(`  ${shownHolding(held)}`);
}

function showRoom({ out }: Context, { capacity, reserved }: Node): void {
  const cores = (milli: number): string => `${milli / 1_000}`;
  const row = (name: string, has: number, used: number, shown: (count: number) => string): string[] => [
    name,
    shown(has),
    shown(used),
    shown(has - used),
    `${Math.round((100 * used) / has)} %`,
  ];
  out.table(
    ["", "CAPACITY", "RESERVED", "FREE", "USED"],
    [
      row("cpu", capacity.cpuMilli, reserved.cpuMilli, cores),
      row("memory", capacity.memoryBytes, reserved.memoryBytes, bytes),
      row("disk", capacity.diskBytes, reserved.diskBytes, bytes),
      row("pids", capacity.pids, reserved.pids, String),
    ],
  );
}

const STATE_WORDS: Record<NodeInstance["state"], string> = { run: "", drain: "draining", gone: "stopping" };

function showInstances({ out }: Context, instances: readonly NodeInstance[]): void {
  out.table(
    ["INSTANCE", "APP", "VERSION", "SLOT", "STATUS", "RESTARTS", "CPU", "MEMORY", ""],
    instances.map((instance) => [
      instance.id,
      instance.appName,
      `v${instance.version}`,
      `#${instance.ordinal}`,
      phase(STATE_WORDS[instance.state] || (instance.observed?.kind ?? "placed")),
      String(instance.restarts),
      `${instance.resources.cpuMilli} m`,
      bytes(instance.resources.memoryBytes),
      instance.singleton === null ? "" : `${instance.singleton} singleton`,
    ]),
  );
}
