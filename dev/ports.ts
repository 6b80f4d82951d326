// Ports on the loopback interface: whether one is free, and one that is.
import { createSocket } from "node:dgram";
import { createServer } from "node:net";

export function isPortFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen({ port, host: "127.0.0.1", exclusive: true }, () => server.close(() => resolve(true)));
  });
}

/**
 * Below the range from which systems take ports for outgoing connections, and that from which agents give ports to processes: a port
 * that is kept is then free again next time.
 */
const RANGE_FIRST = 10_000;
const RANGE_SIZE = 10_000;

/**
 * Whether nobody else on this host was given the port: who was holds it until their process ends, though it may be long before anybody
 * listens there. Held is the UDP port of that number, which no stack uses.
 */
function hold(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const held = createSocket("udp4");
    held.once("error", () => resolve(false));
    held.bind({ port, address: "127.0.0.1", exclusive: true }, () => {
      held.unref();
      resolve(true);
    });
  });
}

/** The first free one of the wanted ports, else any free one; never one of `taken`. */
export async function choosePort(wanted: readonly number[], taken: ReadonlySet<number> = new Set()): Promise<number> {
  for (const port of wanted) {
    if (!taken.has(port) && (await isPortFree(port))) return port;
  }
  for (let attempt = 0; attempt < 100; attempt++) {
    const port = RANGE_FIRST + Math.floor(Math.random() * RANGE_SIZE);
    if (!taken.has(port) && (await isPortFree(port)) && (await hold(port))) return port;
  }
  throw new Error(`no free port on 127.0.0.1 between ${RANGE_FIRST} and ${RANGE_FIRST + RANGE_SIZE}`);
}
