// A container's output as log lines: followed, and its last lines when it failed.
import { PassThrough } from "node:stream";
import type Docker from "dockerode";
import type { LogLine } from "../../../../contracts/ticket.ts";
import { pause } from "../../link/pause.ts";
import type { LogFollower, OnLine } from "../runtime.ts";
import { LogBudget, type LogBudgetLimits } from "../../logs/log-budget.ts";
import { splitLines } from "../../logs/line-splitter.ts";

/** The Engine's time stamp of each line: RFC 3339 with nanoseconds, then a space. */
const STAMP = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z) /;

const inMib = (bytes: number): number => Math.round((10 * bytes) / (1024 * 1024)) / 10;

/** One that could not be ended is found to flood again this much later. */
const FLOOD_AGAIN_MS = 5_000;

/** How long the end of a run waits for its last output: an Engine that is not behind sends it at once, a busy one loses none. */
const FINISH_MS = 2_000;

/** The Engine notes the start once the process runs: what it says first is older. The run before ended longer ago than this. */
const STARTED_LATE_MS = 100;

/** Hands lines on until there are too many of them. What the Engine has beyond that is passed over, until it is clear that it goes on. */
export function bounded(limits: LogBudgetLimits, onLine: OnLine, onFlood: (why: string) => void): OnLine {
  const budget = new LogBudget(limits, performance.now());
  const [atOnce, everySecond] = [limits.logBurstBytesMax, limits.logBytesPerSecondMax].map(inMib);
  const why = `it was ended for what it prints: more than ${atOnce} MiB at once, and than ${everySecond} MiB a second`;
  let deafUntilMs = 0;
  return (line) => {
    const nowMs = performance.now();
    if (nowMs < deafUntilMs) return;
    onLine(line);
    if (budget.take(line.line.length, nowMs)) return;
    deafUntilMs = nowMs + FLOOD_AGAIN_MS;
    onFlood(why);
  };
}

export interface Since {
  readonly atMs: number;
  readonly linesAtThatMs: number;
}

/** A stream that ended is opened again this much later, unless the run is over: the Engine was restarted under it. */
const FOLLOW_AGAIN_MS = 500;

export function followContainer(
  docker: Docker,
  id: string,
  since: Since | null,
  lineBytesMax: number,
  onLine: OnLine,
): LogFollower {
  const abort = new AbortController();
  const state: Following = { docker, id, since, lineBytesMax, onLine, reading: Promise.resolve() };
  const done = followOn(state, abort.signal);
  return {
    // The Engine ends the stream of a container that ended, once all of it was sent.
    async finish() {
      await Promise.race([state.reading, pause(FINISH_MS)]);
      abort.abort();
      await done;
    },
    async stop() {
      abort.abort();
      await done;
    },
  };
}

/** since: the last line that was handed on, and how many there were of that very millisecond. reading: of the present stream. */
interface Following {
  readonly docker: Docker;
  readonly id: string;
  readonly lineBytesMax: number;
  readonly onLine: OnLine;
  since: Since | null;
  reading: Promise<void>;
}

async function followOn(state: Following, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    state.reading = readStream(state, signal).catch(() => undefined);
    await state.reading;
    await pause(FOLLOW_AGAIN_MS, signal);
  }
}

async function readStream(state: Following, signal: AbortSignal): Promise<void> {
  const { docker, id, since, lineBytesMax, onLine } = state;
  const options = { follow: true as const, stdout: true, stderr: true, timestamps: true, abortSignal: signal };
  const sinceSeconds = since === null ? {} : { since: Math.floor(since.atMs / 1_000) };
  const stream = await docker.getContainer(id).logs({ ...options, ...sinceSeconds });
  let skip = since?.linesAtThatMs ?? 0;
  const sink = (kind: LogLine["stream"]) => (text: string) => {
    const line = stamped(kind, text);
    if (since !== null && line.atMs < since.atMs) return;
    if (since !== null && line.atMs === since.atMs && skip-- > 0) return;
    state.since = laterOf(state.since, line.atMs);
    onLine(line);
  };
  await Promise.race([demultiplex(docker, stream, lineBytesMax, sink("stdout"), sink("stderr")), aborted(signal)]);
}

function laterOf(since: Since | null, atMs: number): Since {
  if (since === null || atMs > since.atMs) return { atMs, linesAtThatMs: 1 };
  return atMs < since.atMs ? since : { atMs, linesAtThatMs: since.linesAtThatMs + 1 };
}

/**
 * The last lines of both streams, oldest first, since startedAtMs: a container that was restarted has those of its runs
 * before, too. The Engine reads the streams side by side and keeps no order between them, so half of the lines are kept
 * for stderr, where programs say why they end.
 */
export async function tailContainer(docker: Docker, id: string, startedAtMs: number, lines: number): Promise<string[]> {
  const options = {
    follow: false as const,
    stdout: true,
    stderr: true,
    tail: lines * 10,
    since: Math.max(0, startedAtMs - STARTED_LATE_MS) / 1_000,
  };
  const answer = await docker.getContainer(id).logs(options);
  const body = Buffer.isBuffer(answer) ? answer : Buffer.from(String(answer), "latin1");
  const found: { line: string; isError: boolean; index: number }[] = [];
  for (let at = 0; at + 8 <= body.length;) {
    const size = body.readUInt32BE(at + 4);
    const line = body
      .subarray(at + 8, at + 8 + size)
      .toString("utf8")
      .replace(/\r?\n$/, "");
    found.push({ line, isError: body[at] === 2, index: found.length });
    at += 8 + size;
  }
  const errors = found.filter(({ isError }) => isError).slice(-Math.floor(lines / 2));
  const others = found.filter((one) => !errors.includes(one)).slice(errors.length - lines);
  return [...errors, ...others].sort((a, b) => a.index - b.index).map(({ line }) => line);
}

async function demultiplex(
  docker: Docker,
  stream: NodeJS.ReadableStream,
  lineBytesMax: number,
  onStdout: (line: string) => void,
  onStderr: (line: string) => void,
): Promise<void> {
  const stdout = new PassThrough();
  const stderr = new PassThrough();
  const reading = [splitLines(stdout, lineBytesMax, onStdout), splitLines(stderr, lineBytesMax, onStderr)];
  docker.modem.demuxStream(stream, stdout, stderr);
  await new Promise<void>((resolve) => {
    stream.on("end", resolve);
    stream.on("close", resolve);
    stream.on("error", () => resolve());
  });
  stdout.end();
  stderr.end();
  await Promise.all(reading);
}

function stamped(stream: LogLine["stream"], text: string): LogLine {
  const stamp = STAMP.exec(text);
  if (stamp === null) return { atMs: Date.now(), stream, line: text };
  return { atMs: Date.parse(stamp[1] as string), stream, line: text.slice(stamp[0].length) };
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
