// A TCP port that left the snapshot just as its listening socket was handed to the next ingress: nobody holds that socket open.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { type AddressInfo, connect, createServer } from "node:net";
import { afterEach, expect, it } from "vitest";

const TCP_PORTS = new URL("../../../node-agent/ingress/tcp-ports.ts", import.meta.url).href;
/** Takes the socket over at descriptor 3, looks at a snapshot without that port, and says so. */
const NEXT = `
  const { TcpPorts } = await import(${JSON.stringify(TCP_PORTS)});
  const [port, mine, snapshot] = JSON.parse(process.argv[1]);
  const ingress = { book: { ports: [], snapshot } };
  const log = { info() {}, warn() {} };
  new TcpPorts(ingress, "127.0.0.1", { connectionsMax: 10 }, log, new Map([[port, 3]])).look(new Set(mine));
  process.send("looked");
`;

let child: ChildProcess | null = null;
afterEach(() => void child?.kill("SIGKILL"));

/** Whether visitors still come in, once the next one has looked and the one before has closed its own. */
async function isOpenAfter(own: (port: number) => number[], snapshot: object | null): Promise<boolean> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const { fd } = (server as unknown as { _handle: { fd: number } })._handle;
  const said = JSON.stringify([port, own(port), snapshot]);
  const next = spawn(process.execPath, ["--input-type=module", "-e", NEXT, said], {
    stdio: ["ignore", "inherit", "inherit", fd, "ipc"],
  });
  child = next;
  await once(next, "message");
  server.close();
  await once(server, "close");
  const visitor = connect(port, "127.0.0.1");
  const isOpen = await once(visitor, "connect").then(
    () => true,
    () => false,
  );
  visitor.destroy();
  return isOpen;
}

it("is closed by the one that took it over, so that visitors are refused and not left waiting", async () => {
  expect(await isOpenAfter(() => [], {})).toBe(false);
});

it("stays open while there is no snapshot to tell, and where the ingress serves it itself", async () => {
  expect(await isOpenAfter(() => [], null)).toBe(true);
  child?.kill("SIGKILL");
  expect(await isOpenAfter((port) => [port], {})).toBe(true);
});
