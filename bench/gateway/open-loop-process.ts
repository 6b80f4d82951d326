// The open-loop load generator: argv is JSON {port, headers, ratePerSecond, seconds}; prints an OpenLoopResult.
import { connect, type Socket } from "node:net";
import { quantile, rounded } from "../shared/report.ts";
import type { OpenLoop, OpenLoopResult } from "./open-loop.ts";

const wish = JSON.parse(process.argv[2] ?? "{}") as Omit<OpenLoop, "cpu">;
const CONNECTIONS = 32;
const WARM_UP_MS = 500;
const lines = Object.entries(wish.headers).map(([name, value]) => `${name}: ${value}\r\n`);
const REQUEST = `GET / HTTP/1.1\r\n${"Host" in wish.headers ? "" : "Host: localhost\r\n"}${lines.join("")}\r\n`;

const latenciesMs: number[] = [];
const latenesses: number[] = [];
let failed = 0;
let open = 0;
/** Requests that are due while every connection is taken: their time runs. */
const waiting: number[] = [];
const free: Connection[] = [];

/** One connection with one request under way at most. Answers have a length, as the upstream's do. */
class Connection {
  readonly #socket: Socket;
  #dueAtMs = 0;
  #heard = "";

  constructor(socket: Socket) {
    this.#socket = socket.setNoDelay(true).setEncoding("latin1");
    socket.on("data", (text: string) => this.#onData(text));
    socket.on("close", () => failed++);
    socket.on("error", () => undefined);
  }

  send(dueAtMs: number): void {
    this.#dueAtMs = dueAtMs;
    this.#heard = "";
    latenesses.push(performance.now() - dueAtMs);
    this.#socket.write(REQUEST, "latin1");
  }

  #onData(text: string): void {
    this.#heard += text;
    const headEnd = this.#heard.indexOf("\r\n\r\n");
    const length = /\r\ncontent-length: (\d+)\r\n/i.exec(this.#heard)?.[1];
    if (headEnd === -1 || length === undefined || this.#heard.length < headEnd + 4 + Number(length)) return;
    const nowMs = performance.now();
    if (this.#dueAtMs >= startsAtMs + WARM_UP_MS) latenciesMs.push(nowMs - this.#dueAtMs);
    if (!this.#heard.startsWith("HTTP/1.1 200 ")) failed++;
    open--;
    const next = waiting.shift();
    if (next === undefined) free.push(this);
    else this.send(next);
  }
}

for (let index = 0; index < CONNECTIONS; index++) {
  const socket = connect(wish.port, "127.0.0.1");
  await new Promise((resolve, reject) => socket.once("connect", resolve).once("error", reject));
  free.push(new Connection(socket));
}

const startsAtMs = performance.now() + 50;
const everyMs = 1_000 / wish.ratePerSecond;
const total = Math.round((wish.seconds + WARM_UP_MS / 1_000) * wish.ratePerSecond);
let sent = 0;

/** Spins through the event loop instead of sleeping: timers are a millisecond coarse, several times what is measured. */
function spin(): void {
  const nowMs = performance.now();
  for (let dueAtMs = startsAtMs + sent * everyMs; dueAtMs <= nowMs && sent < total; dueAtMs += everyMs) {
    sent++;
    open++;
    const connection = free.pop();
    if (connection === undefined) waiting.push(dueAtMs);
    else connection.send(dueAtMs);
  }
  if ((sent < total || open > 0) && nowMs < startsAtMs + (wish.seconds + 10) * 1_000) setImmediate(spin);
  else report();
}

function report(): void {
  const result: OpenLoopResult = {
    answered: latenciesMs.length,
    failed: failed + open,
    p50Ms: rounded(quantile(latenciesMs, 0.5), 4),
    p99Ms: rounded(quantile(latenciesMs, 0.99), 4),
    lateP99Ms: rounded(quantile(latenesses, 0.99), 4),
  };
  process.stdout.write(JSON.stringify(result), () => process.exit(0));
}

spin();
