// What a fleet's polls and heartbeats cost per month on Cloudflare, from counts and from the time objects are active.
import { rounded } from "../shared/report.ts";

/**
 * USD, beyond the amounts that the paid plan includes (which a fleet of 2,000 nodes dwarfs).
 * https://developers.cloudflare.com/workers/platform/pricing/ and …/durable-objects/platform/pricing/
 */
const PRICES = {
  workerRequest: 0.3 / 1e6,
  workerCpuMs: 0.02 / 1e6,
  objectRequest: 0.15 / 1e6,
  objectGbSecond: 12.5 / 1e6,
  rowWritten: 1 / 1e6,
};
/** Billed whatever an object uses. */
const OBJECT_GB = 0.128;
const HOUR_S = 3_600;
const MONTH_S = 30 * 24 * HOUR_S;

export interface Traffic {
  readonly beatsPerSecond: number;
  readonly pollsPerSecond: number;
  readonly cells: number;
  /** How long one request keeps its object active, at most: see activeMsPerRequest in the report. */
  readonly activeMsPerRequest: number;
  /** Processor time of the Worker for one request, at most. */
  readonly cpuMsPerRequest: number;
}

/**
 * An object is billed while it runs, and not while it could hibernate; the polls are held by Workers, whose waiting is free.
 * So: active seconds = requests to objects x the time each takes. A heartbeat is one request to its Cell, and so is a poll
 * (the upgrade to the socket on which it waits, which admits it too). A Cell's alarm looks after leases: it comes when the node that
 * was heard first could be suspect, about 3 s later, and writes two rows (itself, and its place in the schedule).
 */
const OBJECT_REQUESTS_PER_POLL = 1;
const ALARM_EVERY_S = 3;
const ROWS_PER_ALARM = 2;

export function priceOf({ beatsPerSecond, pollsPerSecond, cells, activeMsPerRequest, cpuMsPerRequest }: Traffic) {
  const alarmsPerSecond = cells / ALARM_EVERY_S;
  const objectRequestsPerSecond = beatsPerSecond + pollsPerSecond * OBJECT_REQUESTS_PER_POLL + alarmsPerSecond;
  const workerRequestsPerSecond = beatsPerSecond + pollsPerSecond;
  const activePerSecond = (objectRequestsPerSecond * activeMsPerRequest) / 1_000;
  const lines = {
    workerRequests: workerRequestsPerSecond * MONTH_S * PRICES.workerRequest,
    workerCpu: workerRequestsPerSecond * cpuMsPerRequest * MONTH_S * PRICES.workerCpuMs,
    objectRequests: objectRequestsPerSecond * MONTH_S * PRICES.objectRequest,
    objectDuration: activePerSecond * MONTH_S * OBJECT_GB * PRICES.objectGbSecond,
    rowsWritten: alarmsPerSecond * ROWS_PER_ALARM * MONTH_S * PRICES.rowWritten,
  };
  const total = Object.values(lines).reduce((sum, value) => sum + value, 0);
  return {
    activeObjectSecondsPerHour: rounded(activePerSecond * HOUR_S, 1),
    usdPerMonth: {
      ...Object.fromEntries(Object.entries(lines).map(([name, value]) => [name, rounded(value, 2)])),
      total: rounded(total, 2),
    },
  };
}
