// Which packets of one node are dropped: silently, as a cut wire drops them, and never for longer than was said.
import { execFile } from "node:child_process";
import { NAMESPACES_DIR, type NodeNetwork } from "./namespaces.ts";

/**
 * power: everything. Else one direction of one path: control_to_agent and agent_to_control are answers and requests of the
 * agent's link; edge_to_gateway and gateway_to_edge those of visitors (and of the control plane's second opinions).
 */
export type Wire = "power" | "control_to_agent" | "agent_to_control" | "edge_to_gateway" | "gateway_to_edge";

export interface NodePorts {
  readonly control: number;
  readonly gateway: number;
}

/** Adds to what is dropped already. The kernel itself ends each rule after `forMs`, even if nobody lives to do so. */
export async function drop(
  network: NodeNetwork,
  ports: NodePorts,
  wires: readonly Wire[],
  forMs: number,
): Promise<void> {
  const until = new Date(Date.now() + forMs + 1_000).toISOString().slice(0, 19);
  const rules = wires
    .flatMap((wire) => rulesOf(wire, ports))
    .map((rule) => `-A ${rule} -m time --datestop ${until} -j DROP`);
  await restore(network, ["*filter", ...rules, "COMMIT", ""].join("\n"));
}

/** Nothing is dropped any more. */
export async function heal(network: NodeNetwork): Promise<void> {
  await restore(network, "*filter\n-F INPUT\n-F OUTPUT\nCOMMIT\n");
}

function rulesOf(wire: Wire, { control, gateway }: NodePorts): string[] {
  switch (wire) {
    case "power":
      return ["INPUT -i eth0", "OUTPUT -o eth0"];
    case "control_to_agent":
      return [`INPUT -i eth0 -p tcp --sport ${control}`];
    case "agent_to_control":
      return [`OUTPUT -o eth0 -p tcp --dport ${control}`];
    case "edge_to_gateway":
      return [`INPUT -i eth0 -p tcp --dport ${gateway}`];
    case "gateway_to_edge":
      return [`OUTPUT -o eth0 -p tcp --sport ${gateway}`];
  }
}

/** All or nothing, in one step of the kernel. */
function restore({ namespace }: NodeNetwork, table: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = execFile(
      "nsenter",
      [`--net=${NAMESPACES_DIR}/${namespace}`, "iptables-restore", "--noflush", "--wait", "5"],
      { timeout: 10_000 },
      (error, _stdout, stderr) => (error === null ? resolve() : reject(new Error(`iptables-restore: ${stderr}`))),
    );
    child.stdin?.end(table);
  });
}
