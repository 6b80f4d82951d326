// Ports on the loopback interface: whether one is free, and one that is.
import { createServer } from "node:net";

function listenOn(port: number): Promise<number | null> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(null));
    server.listen({ port, host: "127.0.0.1", exclusive: true }, () => {
      const address = server.address();
      const bound = typeof address === "object" && address !== null ? address.port : null;
      server.close(() => resolve(bound));
    });
  });
}

export async function isPortFree(port: number): Promise<boolean> {
  return (await listenOn(port)) !== null;
}

/** The first free one of the wanted ports, else any free one; never one of `taken`. */
export async function choosePort(wanted: readonly number[], taken: ReadonlySet<number> = new Set()): Promise<number> {
  for (const port of wanted) {
    if (!taken.has(port) && (await isPortFree(port))) return port;
  }
  for (let attempt = 0; attempt < 50; attempt++) {
    const port = await listenOn(0);
    if (port !== null && !taken.has(port)) return port;
  }
  throw new Error("no free port on 127.0.0.1");
}
