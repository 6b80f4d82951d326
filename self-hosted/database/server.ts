// What stands where Neon's proxy would: an HTTP server on this machine alone that speaks the serverless driver's two wires to one
// fixed Postgres. It adds no rights: who asks names a role and its password, as to Postgres itself.
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { WebSocketServer } from "ws";
import { SqlEndpoint } from "./sql-endpoint.ts";
import type { PostgresTarget } from "./target.ts";
import { pipeToPostgres } from "./websocket-pipe.ts";

export interface NeonAdapterOptions {
  /** 0 picks a free port. */
  readonly port: number;
  readonly postgres: PostgresTarget;
  /** Another path of the same server: `POST /mail`. Absent: nobody takes letters. */
  readonly mail?: Mail;
}

/** Answers with an HTTP status. */
interface Mail {
  take(authorization: string | undefined, body: string): Promise<number>;
}

export interface NeonAdapter {
  readonly port: number;
  close(): Promise<void>;
}

/** Neon's limit for a request over HTTP. */
const BODY_BYTES_MAX = 64 * 1024 * 1024;
/** Far more than any letter: they are a few lines of text. */
const LETTER_BYTES_MAX = 256 * 1024;

export async function startNeonAdapter({ port, postgres, mail }: NeonAdapterOptions): Promise<NeonAdapter> {
  const sql = new SqlEndpoint(postgres);
  const server = createServer((request, response) => {
    handle(sql, mail, request, response).catch((error: unknown) => {
      if (!response.headersSent) send(response, 500, { message: (error as Error).message });
      else response.destroy();
    });
  });
  const webSockets = new WebSocketServer({ noServer: true, perMessageDeflate: false });
  server.on("upgrade", (request, socket, head) => {
    if (pathOf(request) !== "/v1") {
      socket.destroy();
      return;
    }
    socket.on("error", () => socket.destroy());
    webSockets.handleUpgrade(request, socket, head, (webSocket) => void pipeToPostgres(webSocket, postgres));
  });
  server.keepAliveTimeout = 60_000;
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    async close() {
      for (const webSocket of webSockets.clients) webSocket.terminate();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await sql.close();
    },
  };
}

async function handle(
  sql: SqlEndpoint,
  mail: Mail | undefined,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  if (request.method === "GET" && pathOf(request) === "/health") return send(response, 200, { ok: true });
  if (mail !== undefined && request.method === "POST" && pathOf(request) === "/mail") {
    const letter = await readBody(request, LETTER_BYTES_MAX);
    const status = letter === null ? 413 : await mail.take(request.headers.authorization, letter);
    return send(response, status, {});
  }
  if (request.method !== "POST" || pathOf(request) !== "/sql")
    return send(response, 404, { message: "POST /sql, or a WebSocket on /v1" });
  const body = await readBody(request, BODY_BYTES_MAX);
  if (body === null) return send(response, 413, { message: "request is too large (max is 67108864 bytes)" });
  const { status, body: answer } = await sql.answer(request.headers, body);
  send(response, status, answer);
}

async function readBody(request: IncomingMessage, bytesMax: number): Promise<string | null> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > bytesMax) return null;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

function pathOf(request: IncomingMessage): string {
  return new URL(request.url ?? "/", "http://adapter").pathname;
}

function send(response: ServerResponse, status: number, body: unknown): void {
  const text = JSON.stringify(body);
  response.writeHead(status, { "content-type": "application/json", "content-length": Buffer.byteLength(text) });
  response.end(text);
}
