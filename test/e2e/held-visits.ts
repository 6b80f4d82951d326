// Visits that take their time, over and over: streams, slow answers, uploads bit by bit, pipelined requests. For tests of releases.
import { Agent, request } from "node:http";
import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

export const HELD_KINDS = ["stream", "slow", "upload", "pipelined"] as const;
export type HeldKind = (typeof HELD_KINDS)[number];

export interface HeldTally {
  /** Visits that ended as they should. */
  ended: number;
  readonly failures: string[];
}
export type HeldReport = Readonly<Record<HeldKind, HeldTally>>;

export interface HeldWanted {
  readonly port: number;
  readonly hostname: string;
  /** How long each visit lasts. */
  readonly holdMs: number;
  /** Visits of each kind at any time. */
  readonly atOnce: number;
}

const UPLOAD_PARTS = 20;
const UPLOAD_PART = Buffer.alloc(10_000, "berth");
const PIPELINED_AT_ONCE = 5;
/** What an answer through a Worker ends with: its length is not known there. */
const LAST_CHUNK = "\r\n0\r\n\r\n";
const ANSWER_WITHIN_MS = 30_000;

/** The app is apps/traffic-server.mjs. */
export function startHeldVisits(wanted: HeldWanted): { readonly report: HeldReport; stop(): Promise<HeldReport> } {
  const agent = new Agent({ keepAlive: true, maxSockets: 512 });
  const tally = (): HeldTally => ({ ended: 0, failures: [] });
  const report = { stream: tally(), slow: tally(), upload: tally(), pipelined: tally() };
  const visit: Record<HeldKind, () => Promise<string | null>> = {
    stream: () => streamed(wanted, agent),
    slow: () => slow(wanted, agent),
    upload: () => uploaded(wanted, agent),
    pipelined: () => pipelined(wanted),
  };
  let stopped = false;
  const again = async (kind: HeldKind, atMs: number): Promise<void> => {
    await sleep(atMs);
    while (!stopped) {
      const failure = await visit[kind]().catch((error: unknown) => String(error));
      if (failure === null) report[kind].ended += 1;
      else report[kind].failures.push(`${new Date().toISOString()} ${failure}`);
    }
  };
  // Evenly over the time that one takes, so that at every moment some begin, some are half-way and some end.
  const spread = Array.from({ length: wanted.atOnce }, (_, at) => (at * wanted.holdMs) / wanted.atOnce);
  const loops = HELD_KINDS.flatMap((kind) => spread.map((atMs) => again(kind, atMs)));
  return {
    report,
    async stop() {
      stopped = true;
      await Promise.all(loops);
      agent.destroy();
      return report;
    },
  };
}

interface Sent {
  readonly method: "GET" | "POST";
  readonly path: string;
  readonly send?: (write: (part: Buffer) => void) => Promise<void>;
}

function ask({ port, hostname }: HeldWanted, agent: Agent, { method, path, send }: Sent) {
  return new Promise<{ status: number; text: string }>((resolve, reject) => {
    const outgoing = request({ host: "127.0.0.1", port, path, method, headers: { host: hostname }, agent });
    outgoing.setTimeout(ANSWER_WITHIN_MS, () => outgoing.destroy(new Error(`nothing for ${ANSWER_WITHIN_MS} ms`)));
    outgoing.on("error", reject).on("response", (answer) => {
      let text = "";
      answer.on("data", (part: Buffer) => (text += part.toString()));
      answer.on("error", (error) => reject(new Error(`cut after ${text.length} bytes: ${error.message}`)));
      answer.on("end", () => resolve({ status: answer.statusCode ?? 0, text }));
    });
    if (send === undefined) outgoing.end();
    else send((part) => void outgoing.write(part)).then(() => outgoing.end(), reject);
  });
}

async function streamed(wanted: HeldWanted, agent: Agent): Promise<string | null> {
  const { status, text } = await ask(wanted, agent, { method: "GET", path: `/stream?ms=${wanted.holdMs}` });
  return status === 200 && text.endsWith("end\n") ? null : `status ${status}, ${text.length} bytes`;
}

async function slow(wanted: HeldWanted, agent: Agent): Promise<string | null> {
  const { status, text } = await ask(wanted, agent, { method: "GET", path: `/slow?ms=${wanted.holdMs}` });
  return status === 200 ? null : `status ${status}: ${text.slice(0, 200)}`;
}

async function uploaded(wanted: HeldWanted, agent: Agent): Promise<string | null> {
  const send: Sent["send"] = async (write) => {
    for (let sent = 0; sent < UPLOAD_PARTS; sent += 1) {
      write(UPLOAD_PART);
      await sleep(wanted.holdMs / UPLOAD_PARTS);
    }
  };
  const { status, text } = await ask(wanted, agent, { method: "POST", path: "/upload", send });
  const bytes = UPLOAD_PARTS * UPLOAD_PART.length;
  return status === 200 && text.includes(`"bytes":${bytes}`) ? null : `status ${status}: ${text.slice(0, 200)}`;
}

/** One connection for as long as a visit lasts, several requests on it before the first is answered, again and again. */
function pipelined({ port, hostname, holdMs }: HeldWanted): Promise<string | null> {
  const untilMs = performance.now() + holdMs;
  return new Promise((resolve) => {
    const socket = connect({ host: "127.0.0.1", port });
    let text = "";
    const end = (failure: string | null): void => {
      resolve(failure);
      socket.destroy();
    };
    const send = (): void => {
      text = "";
      socket.write(`GET / HTTP/1.1\r\nhost: ${hostname}\r\n\r\n`.repeat(PIPELINED_AT_ONCE));
    };
    socket.setTimeout(ANSWER_WITHIN_MS, () => end("an answer of several did not come"));
    socket.on("connect", send);
    socket.on("error", (error) => end(error.message));
    socket.on("close", () => end("closed before all were answered"));
    socket.on("data", (part: Buffer) => {
      text += part.toString("latin1");
      const statuses = [...text.matchAll(/HTTP\/1\.1 (\d{3})/g)].map(([, status]) => status);
      if (statuses.some((status) => status !== "200")) return end(`statuses ${statuses.join(", ")}`);
      const whole = statuses.length === PIPELINED_AT_ONCE && text.endsWith(LAST_CHUNK);
      if (!whole) return;
      if (performance.now() > untilMs) return end(null);
      setTimeout(send, 50);
    });
  });
}
