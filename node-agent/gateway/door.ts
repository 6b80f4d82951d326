// A process's own door for the agent: questions over a unix socket in the agent's folder, answered in JSON.
import { chmod, rename, rm } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server } from "node:http";

export interface Door {
  close(): void;
}

/** question: such as `GET /counters`. body: what was sent with it, as JSON. null: there is no such question. */
export type Answering = (question: string, body: () => Promise<unknown>) => Promise<unknown> | null;

export async function openDoor(path: string, answering: Answering): Promise<Door> {
  const server = createServer((request, response) => {
    const question = `${request.method} ${request.url}`;
    const answer = (status: number, body: unknown): void => {
      response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
    };
    // After a hand-over somebody else answers.
    if (question === "POST /hand-over") response.setHeader("connection", "close");
    const coming = answering(question, () => bodyOf(request));
    if (coming === null) return answer(404, { message: `there is no ${question} here` });
    coming.then(
      (value) => answer(200, value),
      (error: unknown) => answer(500, { message: error instanceof Error ? error.message : String(error) }),
    );
  });
  // Made under a name of its own and moved into place: a process that takes over leaves no moment without a socket.
  const fresh = `${path}.${process.pid}`;
  await rm(fresh, { force: true });
  await listen(server, fresh);
  await chmod(fresh, 0o600);
  await rename(fresh, path);
  return {
    close: () => {
      server.close();
      // The agent's kept connections would go on asking this process.
      server.closeIdleConnections();
    },
  };
}

async function bodyOf(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return JSON.parse(Buffer.concat(chunks).toString("utf8"));
}

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(path, () => resolve());
  });
}
