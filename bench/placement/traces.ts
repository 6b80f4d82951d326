// Traces in the formats of the shared data's README: nodes, requests, and arrivals with lifetimes. Read by path, never copied.
import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";

/** cpu in thousandths of a core, memory in MiB. */
export interface Shape {
  readonly cpuMilli: number;
  readonly memoryMib: number;
}

/** In the order in which they happen; request: which arrival it belongs to. */
export interface TraceEvent {
  readonly atS: number;
  readonly kind: "arrive" | "depart";
  readonly request: number;
}

export interface Arrivals {
  readonly shapes: readonly Shape[];
  /** By arrival: equal keys are alike and came together (one app's replicas, as far as the trace tells). */
  readonly apps: readonly string[];
  readonly events: readonly TraceEvent[];
}

/** Rows as records by the names in the first line. */
function readCsv(path: string): Record<string, string>[] {
  const raw = readFileSync(path);
  const text = (path.endsWith(".gz") ? gunzipSync(raw) : raw).toString("utf8");
  const [head = "", ...lines] = text.trim().split("\n");
  const names = head.trim().split(",");
  return lines.map((line) => {
    const cells = line.trim().split(",");
    return Object.fromEntries(names.map((name, at) => [name, cells[at] ?? ""]));
  });
}

function numberIn(row: Record<string, string>, name: string, path: string): number {
  const value = Number(row[name]);
  if (row[name] === undefined || row[name] === "" || !Number.isFinite(value)) {
    throw new Error(`${path}: a row without a number under ${name}: ${JSON.stringify(row)}`);
  }
  return value;
}

/** Of nodes (cpu_milli, mem_mib): what each has. Of pods: what each asks for. */
export const readShapes = (path: string): Shape[] =>
  readCsv(path).map((row) => ({
    cpuMilli: numberIn(row, "cpu_milli", path),
    memoryMib: numberIn(row, "mem_mib", path),
  }));

/**
 * Arrivals (arrive_s, vcpu, mem_gb, life_s or blank for what never leaves). Who leaves at a moment leaves before others arrive;
 * who stays for no time at all leaves after everybody of that moment has come.
 */
export function readArrivals(path: string): Arrivals {
  const rows = readCsv(path);
  const shapes = rows.map((row) => ({
    cpuMilli: Math.round(numberIn(row, "vcpu", path) * 1_000),
    memoryMib: Math.round(numberIn(row, "mem_gb", path) * 1_024),
  }));
  const order = { leavesFirst: 0, comes: 1, leavesAtOnce: 2 };
  const events = rows.flatMap((row, request) => {
    const atS = numberIn(row, "arrive_s", path);
    const came = { atS, kind: "arrive" as const, request, order: order.comes };
    if (row.life_s === "") return [came];
    const lifeS = numberIn(row, "life_s", path);
    const left = lifeS === 0 ? order.leavesAtOnce : order.leavesFirst;
    return [came, { atS: atS + lifeS, kind: "depart" as const, request, order: left }];
  });
  events.sort((a, b) => a.atS - b.atS || a.order - b.order || a.request - b.request);
  const apps = rows.map((row) => [row.arrive_s, row.vcpu, row.mem_gb, row.batch].join("/"));
  return { shapes, apps, events };
}

/** The fewest equal nodes that could hold the peak of the scarcer resource if requests were fluid. */
export function fluidBound({ shapes, events }: Arrivals, node: Shape): number {
  let cpu = 0;
  let memory = 0;
  let cpuPeak = 0;
  let memoryPeak = 0;
  for (const { kind, request } of events) {
    const sign = kind === "arrive" ? 1 : -1;
    cpu += sign * shapes[request]!.cpuMilli;
    memory += sign * shapes[request]!.memoryMib;
    cpuPeak = Math.max(cpuPeak, cpu);
    memoryPeak = Math.max(memoryPeak, memory);
  }
  return Math.ceil(Math.max(cpuPeak / node.cpuMilli, memoryPeak / node.memoryMib));
}
