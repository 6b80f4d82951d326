// What a platform costs a month at Cloudflare: a pure function of its nodes and its visitors' requests.
import { EACH, FIXED, INCLUDED, OBJECT_GB } from "./prices.ts";

const MONTH_S = 30 * 24 * 3_600;
const NODES_PER_CELL = 64;

/**
 * What one node asks for, with the defaults: over its WebSocket, opened four times a day, a heartbeat every 2 s, of which twenty are
 * billed as one request and none to a Worker. Nodes that can only use HTTP cost some seventeen times as much (docs/OPERATING.md).
 * Time per request, at most, as measured by `npm run bench:poll`; alarms as in bench/poll/price.ts.
 */
const NODE = { beatsPerSecond: 0.5, beatsPerRequest: 20, socketsPerSecond: 4 / 86_400 } as const;
const MEASURED = { cpuMsPerRequest: 0.66, activeMsPerRequest: 0.66 } as const;
const CELL = { alarmsPerSecond: 1 / 3, rowsPerAlarm: 2 } as const;
/** One visitor's request at the edge: measured below 1 ms; and how many of them find no route in their isolate. */
const VISIT = { cpuMs: 1, kvReadShare: 0.02 } as const;

export interface CostInput {
  readonly nodes: number;
  readonly requestsPerMonth: number;
  /** Whether the domain lies below its zone's first level, where the certificate is to be paid for. */
  readonly advancedCertificate: boolean;
}

export interface CostLine {
  readonly what: string;
  readonly quantity: string;
  readonly usdPerMonth: number;
}

export interface Cost {
  readonly lines: readonly CostLine[];
  readonly totalUsdPerMonth: number;
}

export function monthlyCost({ nodes, requestsPerMonth, advancedCertificate }: CostInput): Cost {
  const cells = Math.ceil(nodes / NODES_PER_CELL);
  const alarms = cells * CELL.alarmsPerSecond * MONTH_S;
  const nodeRequests = nodes * NODE.socketsPerSecond * MONTH_S;
  const beats = nodes * NODE.beatsPerSecond * MONTH_S;
  const objectRequests = nodeRequests + alarms + beats / NODE.beatsPerRequest;
  const workerRequests = nodeRequests + requestsPerMonth;
  const cpuMs = nodeRequests * MEASURED.cpuMsPerRequest + requestsPerMonth * VISIT.cpuMs;
  const gbSeconds = ((nodeRequests + alarms + beats) * MEASURED.activeMsPerRequest * OBJECT_GB) / 1_000;
  const beyond = (used: number, included: number, each: number) => cents(Math.max(0, used - included) * each);
  const rowsWritten = alarms * CELL.rowsPerAlarm + nodeRequests;
  const lines: CostLine[] = [
    { what: "Workers Paid plan", quantity: "1", usdPerMonth: FIXED.workersPaid },
    {
      what: "Workers: requests",
      quantity: millions(workerRequests),
      usdPerMonth: beyond(workerRequests, INCLUDED.workerRequests, EACH.workerRequest),
    },
    {
      what: "Workers: processor time",
      quantity: `${millions(cpuMs)} ms`,
      usdPerMonth: beyond(cpuMs, INCLUDED.workerCpuMs, EACH.workerCpuMs),
    },
    {
      what: "Durable Objects: requests",
      quantity: millions(objectRequests),
      usdPerMonth: beyond(objectRequests, INCLUDED.objectRequests, EACH.objectRequest),
    },
    {
      what: "Durable Objects: duration",
      quantity: `${millions(gbSeconds)} GB-s`,
      usdPerMonth: beyond(gbSeconds, INCLUDED.objectGbSeconds, EACH.objectGbSecond),
    },
    {
      what: "Durable Objects: rows written",
      quantity: millions(rowsWritten),
      usdPerMonth: beyond(rowsWritten, INCLUDED.rowsWritten, EACH.rowWritten),
    },
    {
      what: "KV: reads",
      quantity: millions(requestsPerMonth * VISIT.kvReadShare),
      usdPerMonth: beyond(requestsPerMonth * VISIT.kvReadShare, INCLUDED.kvReads, EACH.kvRead),
    },
  ];
  if (advancedCertificate)
    lines.push({ what: "Advanced Certificate Manager", quantity: "1 zone", usdPerMonth: FIXED.advancedCertificates });
  return { lines, totalUsdPerMonth: cents(lines.reduce((sum, { usdPerMonth }) => sum + usdPerMonth, 0)) };
}

const cents = (usd: number): number => Math.round(usd * 100) / 100;
const millions = (count: number): string => `${Math.round(count / 10_000) / 100} M`;
