// Arithmetic of what nodes have and instances take.
import type { NodeCapacity } from "../../contracts/agent-protocol.ts";

export function subtract(from: NodeCapacity, resources: NodeCapacity): NodeCapacity {
  return {
    cpuMilli: from.cpuMilli - resources.cpuMilli,
    memoryBytes: from.memoryBytes - resources.memoryBytes,
    diskBytes: from.diskBytes - resources.diskBytes,
    pids: from.pids - resources.pids,
  };
}
