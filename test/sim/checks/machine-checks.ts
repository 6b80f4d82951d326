// What must hold on one server whenever something changed there: 2, 10.
import type { Machine } from "../node/machine.ts";
import type { Fault } from "./checks.ts";

export function checkMachine(machine: Machine, fault: Fault): void {
  // What an operator wrote off, nobody counts on.
  if (machine.isDisowned) return;
  let cpuMilli = 0;
  const ports = new Set<number>();
  for (const { state, desired } of machine.engine.containers.values()) {
    if (state !== "running") continue;
    cpuMilli += desired.resources.cpuMilli;
    for (const port of desired.hostPorts) {
      if (ports.has(port)) fault(`10: two containers of ${machine.name} have its port ${port}`);
      ports.add(port);
    }
  }
  if (cpuMilli > machine.cpuMilli) fault(`10: ${machine.name} runs ${cpuMilli} of ${machine.cpuMilli} cpuMilli`);
  // 2: whatever its document does not name has left the gateway before anything else is told.
  const { desired } = machine.disk;
  if (!machine.agent?.hasWrittenFor(desired)) return;
  for (const { instance, generation, state } of machine.gateway.rows()) {
    if (state !== "serving" && state !== "draining") continue;
    const isNamed = desired?.instances.some((each) => each.instance === instance && each.generation === generation);
    if (!isNamed)
      fault(`2: the gateway of ${machine.name} serves ${instance}/${generation}, which its document does not name`);
  }
}
