// Which ports a stack takes: those it wants, those it had, and for a gateway the same one for life.
import { createServer, type Server } from "node:net";
import { afterEach, expect, test } from "vitest";
import { choosePort, isPortFree } from "../../dev/ports.ts";
import { choosePorts } from "../../dev/stack/state.ts";

const busy: Server[] = [];
afterEach(() => {
  for (const server of busy.splice(0)) server.close();
});

async function busyPort(): Promise<number> {
  const port = await choosePort([]);
  const server = createServer();
  busy.push(server);
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  return port;
}

test("a wanted port that is free is taken, a busy one is not", async () => {
  const [free, taken] = [await choosePort([]), await busyPort()];
  expect(await choosePort([free])).toBe(free);
  expect(await isPortFree(taken)).toBe(false);
  expect(await choosePort([taken])).not.toBe(taken);
});

test("no two names get the same port", async () => {
  const wanted = await choosePort([]);
  const ports = await choosePorts({}, { control: [wanted], edge: [wanted], postgres: [wanted] });
  expect(new Set(Object.values(ports)).size).toBe(3);
});

test("the ports of last time are taken again, and the default once it is free", async () => {
  const [before, preferred] = [await choosePort([]), await choosePort([])];
  expect(await choosePorts({ postgres: before }, { postgres: [] })).toEqual({ postgres: before });
  expect(await choosePorts({ edge: before }, { edge: [preferred] })).toEqual({ edge: preferred });
});

test("a gateway keeps its port though it is in use, by itself as it may be", async () => {
  const own = await busyPort();
  expect(await choosePorts({ "gateway-node-1": own }, { "gateway-node-1": [] })).toEqual({ "gateway-node-1": own });
});
