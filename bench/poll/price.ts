// What a fleet's polls and heartbeats cost per month on Cloudflare, by transport, from counts and from the time objects are active.
import { EACH, OBJECT_GB } from "../../cli/setup/prices.ts";
import { AGENT_LIMITS } from "../../core/converge/limits.ts";
import { DEFAULT_LIMITS } from "../../core/limits.ts";
import { rounded } from "../shared/report.ts";
import type { Transport } from "../sim-fleet/counts.ts";

const HOUR_S = 3_600;
const MONTH_S = 30 * 24 * HOUR_S;

/** Incoming messages of WebSockets are billed as so many to one request; outgoing ones are free. */
const MESSAGES_PER_REQUEST = 20;

export interface Traffic {
  /** Over HTTP. */
  readonly beatsPerSecond: number;
  readonly pollsPerSecond: number;
  /** Over sockets: heartbeats, and what is asked for there. */
  readonly messagesPerSecond: number;
  readonly upgradesPerSecond: number;
  readonly cells: number;
  /** How long one request keeps its object active, at most: see activeMsPerRequest in the report. */
  readonly activeMsPerRequest: number;
  readonly activeMsPerMessage: number;
  /** Processor time of the Worker for one request, at most. It has no part in messages. */
  readonly cpuMsPerRequest: number;
}

/** Processor time of the whole of workerd: what the Worker takes of it, and what its object, are not told apart. */
export interface Measured {
  readonly msPerRequest: number;
  readonly msPerMessage: number;
}

/** A poll is held for 25 s. */
const POLL_HELD_S = 25;
/** A deployment of the control plane ends all sockets, and so does the network now and then: four times a day is plenty. */
const SOCKET_LIVES_S = 6 * HOUR_S;

/** What nodes ask for on which nothing happens: a wake-up more or less is nothing beside the heartbeats. */
export function trafficOf(transport: Transport, nodes: number, { msPerRequest, msPerMessage }: Measured): Traffic {
  const isSocket = transport === "socket";
  const beatsPerSecond = (nodes * 1_000) / AGENT_LIMITS.heartbeatMs;
  return {
    beatsPerSecond: isSocket ? 0 : beatsPerSecond,
    pollsPerSecond: isSocket ? 0 : nodes / POLL_HELD_S,
    messagesPerSecond: isSocket ? beatsPerSecond : 0,
    upgradesPerSecond: isSocket ? nodes / SOCKET_LIVES_S : 0,
    cells: Math.ceil(nodes / DEFAULT_LIMITS.nodesPerCellMax),
    activeMsPerRequest: msPerRequest,
    activeMsPerMessage: msPerMessage,
    cpuMsPerRequest: msPerRequest,
  };
}

/**
 * An object is billed while it runs, and not while it could hibernate; the polls are held by Workers, whose waiting is free.
 * So: active seconds = requests and messages to objects x the time each takes. A heartbeat is one request to its Cell, and so is
 * a poll (the upgrade to the socket on which it waits, which admits it too) and an agent's socket, which writes a row as well. A
 * Cell's alarm looks after leases: it comes when the node that was heard first could be suspect, about 3 s later, and writes two
 * rows (itself, and its place in the schedule).
 */
const ALARM_EVERY_S = 3;
const ROWS_PER_ALARM = 2;
const ROWS_PER_UPGRADE = 1;

/** USD, beyond the amounts that the paid plan includes, which a fleet of 2,000 nodes dwarfs. */
export function priceOf(traffic: Traffic) {
  const { messagesPerSecond, upgradesPerSecond } = traffic;
  const alarmsPerSecond = traffic.cells / ALARM_EVERY_S;
  const workerRequestsPerSecond = traffic.beatsPerSecond + traffic.pollsPerSecond + upgradesPerSecond;
  const runsPerSecond = workerRequestsPerSecond + alarmsPerSecond;
  const activeMs = runsPerSecond * traffic.activeMsPerRequest + messagesPerSecond * traffic.activeMsPerMessage;
  const activePerSecond = activeMs / 1_000;
  const billedPerSecond = runsPerSecond + messagesPerSecond / MESSAGES_PER_REQUEST;
  const rowsPerSecond = alarmsPerSecond * ROWS_PER_ALARM + upgradesPerSecond * ROWS_PER_UPGRADE;
  const lines = {
    workerRequests: workerRequestsPerSecond * MONTH_S * EACH.workerRequest,
    workerCpu: workerRequestsPerSecond * traffic.cpuMsPerRequest * MONTH_S * EACH.workerCpuMs,
    objectRequests: billedPerSecond * MONTH_S * EACH.objectRequest,
    objectDuration: activePerSecond * MONTH_S * OBJECT_GB * EACH.objectGbSecond,
    rowsWritten: rowsPerSecond * MONTH_S * EACH.rowWritten,
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
