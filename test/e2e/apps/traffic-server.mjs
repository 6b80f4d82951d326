// An app for tests of releases under traffic: every answer says which release gave it. `--errors=5`: so many percent are 500.
// /slow?ms= answers late, /stream?ms= bit by bit, /upload counts what comes, WebSockets echo.
import { createServer } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { WebSocketServer } from "ws";

const CHUNKS = 20;
const version = `v${process.env.BERTH_VERSION}`;
const instance = process.env.BERTH_INSTANCE;
const errorPercent = Number(/--errors=(\d+)/.exec(process.argv.join(" "))?.[1] ?? 0);
let served = 0;

async function stream(response, ms) {
  response.writeHead(200, { "x-app-version": version, "content-type": "text/plain" });
  for (let sent = 0; sent < CHUNKS; sent += 1) {
    response.write(`${version} ${sent}\n`);
    await sleep(ms / CHUNKS);
  }
  response.end("end\n");
}

async function answer(request, response) {
  const url = new URL(request.url, "http://app");
  const ms = Number(url.searchParams.get("ms") ?? 0);
  if (url.pathname === "/stream") return stream(response, ms);
  let bytes = 0;
  for await (const chunk of request) bytes += chunk.length;
  if (url.pathname === "/slow") await sleep(ms);
  served += 1;
  // Exactly so many in a hundred, evenly spread: a test's numbers are not to depend on luck.
  const fails = url.pathname === "/" && (served * errorPercent) % 100 < errorPercent;
  response.writeHead(fails ? 500 : 200, { "x-app-version": version, "content-type": "application/json" });
  response.end(JSON.stringify({ version, instance, bytes, greeting: process.env.GREETING ?? null }));
}

const server = createServer((request, response) => void answer(request, response).catch(() => response.destroy()));
server.keepAliveTimeout = 120_000;
const sockets = new WebSocketServer({ server });
sockets.on("connection", (socket) => {
  socket.send(version);
  socket.on("message", (data, isBinary) => socket.send(data, { binary: isBinary }));
});
server.listen(Number(process.env.PORT));
process.on("SIGTERM", () => {
  server.close(() => process.exit(0));
  for (const socket of sockets.clients) socket.close(1001);
});
