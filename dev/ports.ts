// Ports on the loopback interface: whether one is free, and one that is.
import { createServer } from "node:net";

export function isPortFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen({ port, host: "127.0.0.1", exclusive: true }, () => server.close(() => resolve(true)));
  });
}

/**
 * Below the range from which systems take ports for outgoing connections: a port that is kept is then free again next time. Test files
 * that run at once have a part of it each, so that none takes what another has chosen and not opened yet.
 */
const LANES = 8;
const LANE = Number(process.env.VITEST_POOL_ID ?? 0) % LANES;
const RANGE_SIZE = 1_250;
const RANGE_FIRST = 20_000 + LANE * RANGE_SIZE;

/** The first free one of the wanted ports, else any free one; never one of `taken`. */
export async function choosePort(wanted: readonly number[], taken: ReadonlySet<number> = new Set()): Promise<number> {
  for (const port of wanted) {
    if (!taken.has(port) && (await isPortFree(port))) return port;
  }
  for (let attempt = 0; attempt < 100; attempt++) {
    const port = RANGE_FIRST + Math.floor(Math.random() * RANGE_SIZE);
    if (!taken.has(port) && (await isPortFree(port))) return port;
  }
  throw new Error(`no free port on 127.0.0.1 between ${RANGE_FIRST} and ${RANGE_FIRST + RANGE_SIZE}`);
}
