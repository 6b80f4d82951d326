// An app for tests of what flows through the edge: WebSocket echo, long downloads, uploads, server-sent events, headers.
import { createHash } from "node:crypto";
import { createServer } from "node:http";
import { WebSocketServer } from "ws";

const CHUNK = Buffer.alloc(64 * 1024, "berth");

/** `?mb=` MiB, no faster than the reader takes them. */
async function download(url, response) {
  const chunks = Number(url.searchParams.get("mb") ?? 1) * 16;
  response.writeHead(200, {
    "content-type": "application/octet-stream",
    "content-length": String(chunks * CHUNK.length),
  });
  for (let sent = 0; sent < chunks; sent += 1) {
    if (!response.write(CHUNK)) await new Promise((resolve) => response.once("drain", resolve));
  }
  response.end();
}

async function upload(request, response) {
  const hash = createHash("sha256");
  let bytes = 0;
  for await (const chunk of request) {
    hash.update(chunk);
    bytes += chunk.length;
  }
  response.end(JSON.stringify({ bytes, sha256: hash.digest("hex") }));
}

let sendNext = () => {};
/** The next event is sent when its reader has asked for it at `/next`: so it must have got the one before. */
function events(response) {
  response.writeHead(200, { "content-type": "text/event-stream" });
  let count = 0;
  sendNext = () => {
    count += 1;
    response.write(`data: ${count}\n\n`);
    if (count === 5) response.end();
  };
  sendNext();
}

const server = createServer((request, response) => {
  const url = new URL(request.url, "http://app");
  if (url.pathname === "/download") return void download(url, response);
  if (url.pathname === "/upload") return void upload(request, response);
  if (url.pathname === "/events") return events(response);
  if (url.pathname === "/next") sendNext();
  response.setHeader("content-type", "application/json");
  response.end(JSON.stringify({ method: request.method, url: request.url, headers: request.headers }));
});
server.keepAliveTimeout = 120_000;
const sockets = new WebSocketServer({ server });
sockets.on("connection", (socket) => socket.on("message", (data, isBinary) => socket.send(data, { binary: isBinary })));
server.listen(Number(process.env.PORT));
