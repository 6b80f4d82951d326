// The agent's own door to the gateway: `POST /reload` and `GET /counters` on a unix socket in the agent's folder.
import { randomUUID } from "node:crypto";
import { createServer, type Server } from "node:http";
import { chmod, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { GATEWAY_SOCKET, type GatewayCounters } from "../endpoint-file.ts";
import type { Counters } from "./counters.ts";

export interface AgentSocket {
  close(): void;
}

/** reload answers how many instances are known now, and throws when the file cannot be read. */
export async function openAgentSocket(
  dir: string,
  counters: Counters,
  reload: () => Promise<number>,
): Promise<AgentSocket> {
  const startId = randomUUID();
  const server = createServer((request, response) => {
    const answer = (status: number, body: unknown): void => {
      response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
    };
    request.resume();
    if (request.method === "GET" && request.url === "/counters") {
      answer(200, { startId, instances: counters.list() } satisfies GatewayCounters);
    } else if (request.method === "POST" && request.url === "/reload") {
      reload().then(
        (instances) => answer(200, { instances }),
        (error: unknown) => answer(500, { message: error instanceof Error ? error.message : String(error) }),
      );
    } else answer(404, { message: "POST /reload or GET /counters" });
  });
  // Made under a name of its own and moved into place: a gateway that takes over leaves no moment without a socket.
  const path = join(dir, GATEWAY_SOCKET);
  const fresh = `${path}.${process.pid}`;
  await rm(fresh, { force: true });
  await listen(server, fresh);
  await chmod(fresh, 0o600);
  await rename(fresh, path);
  return { close: () => void server.close() };
}

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(path, () => resolve());
  });
}
