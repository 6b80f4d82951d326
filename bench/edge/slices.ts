// Contenders under closed-loop load in slices of a tenth of a second, in turn: whatever else the machine does for seconds meets all of
// them alike, which rounds of seconds do not manage. Only for answers of a known length over HTTP/1.1.
import { connect, type Socket } from "node:net";
import { cpuNsOf } from "./cpu.ts";
import type { Contender } from "./rounds.ts";

export interface Slice {
  readonly requestsPerSecond: number;
  /** Of the measured process, all threads. */
  readonly cpuUsPerRequest: number;
}
/** By contender; slice n of one was measured beside slice n of every other. */
export type Slices = ReadonlyMap<string, readonly Slice[]>;

export interface Slicing {
  readonly contenders: readonly Contender[];
  readonly connections: number;
  readonly rounds: number;
  readonly sliceMs: number;
}

const WARM_UP_ROUNDS = 10;

/** Every other round goes backwards. What runs before the first counted round lets the Workers' code be compiled. */
export async function inSlices({ contenders, connections, rounds, sliceMs }: Slicing): Promise<Slices> {
  const loads = contenders.map((contender) => ({ contender, load: new Load(contender, connections) }));
  const measured = new Map<string, Slice[]>(contenders.map(({ name }) => [name, []]));
  for (let round = -WARM_UP_ROUNDS; round < rounds; round++) {
    for (const { contender, load } of round % 2 === 0 ? loads : loads.toReversed()) {
      const slice = await load.run(sliceMs);
      if (round >= 0) measured.get(contender.name)?.push(slice);
    }
  }
  for (const { load } of loads) load.close();
  return measured;
}

class Load {
  readonly #connections: readonly Connection[];
  readonly #pid: number;

  constructor({ name, url, headers, pid }: Contender, connections: number) {
    const lines = Object.entries(headers).map(([header, value]) => `${header}: ${value}\r\n`);
    const request = Buffer.from(`GET / HTTP/1.1\r\n${lines.join("")}\r\n`);
    const port = Number(new URL(url).port);
    this.#connections = Array.from({ length: connections }, () => new Connection(name, port, request));
    this.#pid = pid;
  }

  /** Until every request that was begun has its answer. */
  async run(forMs: number): Promise<Slice> {
    const [cpuNs, startedAtMs] = [cpuNsOf(this.#pid), performance.now()];
    const untilMs = startedAtMs + forMs;
    const answers = await Promise.all(this.#connections.map((connection) => connection.run(untilMs)));
    const requests = answers.reduce((sum, count) => sum + count, 0);
    return {
      requestsPerSecond: (requests * 1e3) / (performance.now() - startedAtMs),
      cpuUsPerRequest: (cpuNsOf(this.#pid) - cpuNs) / 1e3 / requests,
    };
  }

  close(): void {
    for (const connection of this.#connections) connection.close();
  }
}

/** One request after the other. */
class Connection {
  readonly #socket: Socket;
  readonly #request: Buffer;
  #head = "";
  /** Of the body; null while the head is read. */
  #missingBytes: number | null = null;
  #answers = 0;
  #untilMs = 0;
  #over: { readonly resolve: (answers: number) => void; readonly reject: (error: Error) => void } | null = null;

  constructor(name: string, port: number, request: Buffer) {
    this.#request = request;
    this.#socket = connect(port, "127.0.0.1").setNoDelay(true);
    this.#socket.on("data", (bytes: Buffer) => this.#read(name, bytes));
    this.#socket.on("error", (error) => this.#over?.reject(error));
    this.#socket.on("end", () => this.#over?.reject(new Error(`${name} closed a connection`)));
  }

  run(untilMs: number): Promise<number> {
    this.#untilMs = untilMs;
    this.#answers = 0;
    return new Promise((resolve, reject) => {
      this.#over = { resolve, reject };
      this.#socket.write(this.#request);
    });
  }

  #read(name: string, bytes: Buffer): void {
    let body = bytes.length;
    if (this.#missingBytes === null) {
      this.#head += bytes.toString("latin1");
      const end = this.#head.indexOf("\r\n\r\n");
      if (end < 0) return;
      const length = /^HTTP\/1\.1 200 [^]*\r\ncontent-length: (\d+)\r\n/i.exec(this.#head.slice(0, end + 2))?.[1];
      if (length === undefined) return this.#over?.reject(new Error(`${name} answered ${this.#head}`));
      body = this.#head.length - end - 4;
      this.#missingBytes = Number(length);
      this.#head = "";
    }
    this.#missingBytes -= body;
    if (this.#missingBytes > 0) return;
    this.#missingBytes = null;
    this.#answers++;
    if (performance.now() < this.#untilMs) this.#socket.write(this.#request);
    else this.#over?.resolve(this.#answers);
  }

  close(): void {
    this.#over = null;
    this.#socket.destroy();
  }
}
