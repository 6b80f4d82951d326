// Host ports: which TCP ports of itself a node offers to instances, by its operator's word.
import { z } from "zod";

const Port = z.int().min(1).max(65_535);

/** From and to, both included. */
export const HostPorts = z.array(z.tuple([Port, Port])).max(64);
export type HostPorts = z.infer<typeof HostPorts>;

/** Below are ssh, the web and whatever else a server itself listens on: only where an operator says so. */
export const DEFAULT_HOST_PORTS: HostPorts = [[1_024, 65_535]];

export const isOffered = (offered: HostPorts, port: number): boolean =>
  offered.some(([from, to]) => from <= port && port <= to);

export function withoutPort(offered: HostPorts, port: number): HostPorts {
  return offered.flatMap(([from, to]): HostPorts => {
    if (port < from || port > to) return [[from, to]];
    const parts: HostPorts = [
      [from, port - 1],
      [port + 1, to],
    ];
    return parts.filter(([first, last]) => first <= last);
  });
}

/** What any of two nodes offers, in order and without overlaps. */
export function offeredByAny(a: HostPorts, b: HostPorts): HostPorts {
  const merged: [number, number][] = [];
  for (const [from, to] of [...a, ...b].sort((x, y) => x[0] - y[0])) {
    const last = merged.at(-1);
    if (last && from <= last[1] + 1) last[1] = Math.max(last[1], to);
    else merged.push([from, to]);
  }
  return merged;
}

/** `80, 1024-7069, 7071-65535`. */
export const hostPortsText = (offered: HostPorts): string =>
  offered.map(([from, to]) => (from === to ? String(from) : `${from}-${to}`)).join(", ") || "none";
