// The local stand for Neon's proxy: an HTTP server that speaks the serverless driver's two wires to one fixed Postgres.
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { WebSocketServer } from "ws";
import { SqlEndpoint } from "./sql-endpoint.ts";
import { pipeToPostgres } from "./websocket-pipe.ts";

export interface NeonAdapterOptions {
  /** 0 picks a free port. */
  readonly port: number;
  readonly postgres: { readonly host: string; readonly port: number };
}

export interface NeonAdapter {
  readonly port: number;
  close(): Promise<void>;
}

/** Neon's limit for a request over HTTP. */
const BODY_BYTES_MAX = 64 * 1024 * 1024;

export async function startNeonAdapter({ port, postgres }: NeonAdapterOptions): Promise<NeonAdapter> {
  const sql = new SqlEndpoint(postgres);
  const server = createServer((request, response) => {
    handle(sql, request, response).catch((error: unknown) => {
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
    webSockets.handleUpgrade(request, socket, head, (webSocket) => pipeToPostgres(webSocket, postgres));
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

async function handle(sql: SqlEndpoint, request: IncomingMessage, response: ServerResponse): Promise<void> {
  if (request.method === "GET" && pathOf(request) === "/health") return send(response, 200, { ok: true });
  if (request.method !== "POST" || pathOf(request) !== "/sql")
    return send(response, 404, { message: "POST /sql, or a WebSocket on /v1" });
  const body = await readBody(request);
  if (body === null) return send(response, 413, { message: "request is too large (max is 67108864 bytes)" });
  const { status, body: answer } = await sql.answer(request.headers, body);
  send(response, status, answer);
}

async function readBody(request: IncomingMessage): Promise<string | null> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > BODY_BYTES_MAX) return null;
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
