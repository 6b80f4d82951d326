// Apps behind a gateway in these tests: real Node servers, raw TCP ones for what no library would send, and a raw client.
import {
  createServer as createHttp,
  request,
  type IncomingMessage,
  type RequestListener,
  type Server,
} from "node:http";
import { connect, createServer as createTcp, type Server as TcpServer, type Socket } from "node:net";
import type { SigningKey } from "../../../bench/shared/gateway-world.ts";
import { appId, instanceId, nodeId, teamId } from "../../../bench/shared/gateway-world.ts";
import { choosePort } from "../../../dev/ports.ts";
import { ticketFor, type TicketRequest } from "../../../workers/edge/tickets.ts";

export interface App {
  readonly port: number;
  readonly server: Server | TcpServer;
  close(): Promise<void>;
}

export const httpApp = (listener: RequestListener): Promise<App> =>
  listening(createHttp({ maxHeaderSize: 256 * 1024 }, listener));
export const tcpApp = (onSocket: (socket: Socket) => void, options: { allowHalfOpen?: boolean } = {}): Promise<App> =>
  listening(createTcp(options, (socket) => onSocket(socket.on("error", () => undefined))));

/** Answers once its visitor has said all, with how much that was. */
export const patientApp = (): Promise<App> =>
  tcpApp(
    (socket) => {
      let bytes = 0;
      socket.on("data", (some) => (bytes += some.length));
      socket.on("end", () => setTimeout(() => socket.end(`heard ${bytes}`), 50));
    },
    { allowHalfOpen: true },
  );

/** On a port that nobody else gets: where an app was closed, connections are refused for as long as the test lasts. */
async function listening(server: Server | TcpServer): Promise<App> {
  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => sockets.add(socket.once("close", () => sockets.delete(socket))));
  const port = await choosePort([]);
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  return {
    port,
    server,
    close: () => {
      for (const socket of sockets) socket.destroy();
      return new Promise((done) => server.close(() => done()));
    },
  };
}

/** The ticket's header value for an instance of app 1 of team 1 on node 1, or as wished. */
export async function ticket(key: SigningKey, wish: Partial<TicketRequest> = {}, nowMs = Date.now()): Promise<string> {
  const usual = {
    team: teamId(1),
    app: appId(1),
    instance: instanceId(1),
    generation: 1,
    node: nodeId(1),
    use: "app",
  } as const;
  return ticketFor({ key: key.secret, ...usual, ...wish }, nowMs);
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
}

/** One request on a connection of its own. */
export function send(
  port: number,
  wish: { method?: string; path?: string; headers?: Record<string, string>; body?: string | Buffer } = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const { method = "GET", path = "/", headers = {}, body } = wish;
    const asked = request(
      { host: "127.0.0.1", port, method, path, headers, agent: false, maxHeaderSize: 256 * 1024 },
      (answer) => {
        let text = "";
        answer.setEncoding("utf8").on("data", (part: string) => (text += part));
        answer.on("end", () => resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: text }));
        answer.on("error", reject);
      },
    );
    asked.on("error", reject).end(body);
  });
}

/** Writes bytes as they are and collects what comes until the other side closes, or until it has shown `until`. */
export function raw(port: number, bytes: string, until?: string): Promise<string> {
  return new Promise((resolve) => {
    let heard = "";
    const socket = connect(port, "127.0.0.1", () => socket.write(bytes, "latin1"));
    const done = (): void => {
      socket.destroy();
      resolve(heard);
    };
    socket.setEncoding("latin1").on("data", (part: string) => {
      heard += part;
      if (until !== undefined && heard.includes(until)) done();
    });
    socket.on("error", done).on("close", done).setTimeout(30_000, done);
  });
}

export const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

export async function eventually<Value>(
  read: () => Promise<Value> | Value,
  good: (value: Value) => boolean,
): Promise<Value> {
  const untilMs = Date.now() + 60_000;
  for (;;) {
    const value = await read();
    if (good(value) || Date.now() > untilMs) return value;
    await sleep(20);
  }
}
