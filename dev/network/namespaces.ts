// A network namespace for each node of a stack, and one bridge by which this machine reaches them: for tests that cut wires.
// Needs root, iproute2, iptables and nsenter. Nothing in the machine's own tables is touched: rules live in the nodes' namespaces.
import { execFile, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { createServer, connect, type Server, type Socket } from "node:net";
import { networkInterfaces } from "node:os";
import { promisify } from "node:util";

const run = promisify(execFile);
const COMMAND_TIMEOUT_MS = 10_000;

/** Where iproute2 keeps named namespaces. */
export const NAMESPACES_DIR = "/run/netns";

/** Where a node of its own network is: its namespace, its address, and the address under which it sees this machine. */
export interface NodeNetwork {
  readonly namespace: string;
  readonly address: string;
  readonly hostAddress: string;
}

export async function ip(...args: readonly string[]): Promise<string> {
  return (await run("ip", args, { timeout: COMMAND_TIMEOUT_MS })).stdout;
}

export class Networks {
  readonly nodes: readonly NodeNetwork[];
  readonly #bridge: string;
  readonly #watcherPid: number | null;
  readonly #forwarders: { close(): Promise<void> }[] = [];

  private constructor(bridge: string, nodes: readonly NodeNetwork[], watcherPid: number | null) {
    this.#bridge = bridge;
    this.nodes = nodes;
    this.#watcherPid = watcherPid;
  }

  /** The same names for the same stack. What an earlier run left under them is removed first. */
  static async create(stackId: string, count: number): Promise<Networks> {
    const tag = createHash("sha256").update(stackId).digest("hex").slice(0, 8);
    const bridge = `bb${tag}`;
    const namespaces = Array.from({ length: count }, (_, index) => `berth-${tag}-${index + 1}`);
    await remove(bridge, namespaces);
    const subnet = freeSubnet(Number.parseInt(tag, 16));
    const nodes = namespaces.map((namespace, index) => ({
      namespace,
      address: `${subnet}.${index + 11}`,
      hostAddress: `${subnet}.1`,
    }));
    // First of all: what is made from here on goes with this process, however it ends.
    const networks = new Networks(bridge, nodes, watchOver(process.pid, bridge, namespaces));
    try {
      await ip("link", "add", bridge, "type", "bridge");
      await ip("addr", "add", `${subnet}.1/24`, "dev", bridge);
      await ip("link", "set", bridge, "up");
      for (const [index, node] of nodes.entries()) await connectNode(bridge, `bv${tag}${index + 1}`, node);
    } catch (error) {
      await networks.remove();
      throw error;
    }
    return networks;
  }

  /** Makes a port of the loopback interface answer on the bridge too, where the nodes reach it. */
  async forward(port: number): Promise<void> {
    const [first] = this.nodes;
    if (first === undefined) return;
    this.#forwarders.push(await forwardPort(first.hostAddress, port));
  }

  /** Ends what still runs in the namespaces, and forgets them. */
  async remove(): Promise<void> {
    await Promise.all(this.#forwarders.splice(0).map((forwarder) => forwarder.close()));
    await remove(
      this.#bridge,
      this.nodes.map(({ namespace }) => namespace),
    );
    if (this.#watcherPid === null) return;
    try {
      process.kill(this.#watcherPid, "SIGKILL");
    } catch {
      // It is gone already.
    }
  }
}

async function connectNode(bridge: string, cable: string, { namespace, address }: NodeNetwork): Promise<void> {
  await ip("netns", "add", namespace);
  await ip("link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", namespace);
  await ip("link", "set", cable, "master", bridge, "up");
  await ip("-n", namespace, "link", "set", "lo", "up");
  await ip("-n", namespace, "addr", "add", `${address}/24`, "dev", "eth0");
  await ip("-n", namespace, "link", "set", "eth0", "up");
}

/** Processes in a node's namespace. */
export async function processesIn(namespace: string): Promise<number[]> {
  const listed = await ip("netns", "pids", namespace).catch(() => "");
  return listed.split("\n").filter(Boolean).map(Number);
}

async function remove(bridge: string, namespaces: readonly string[]): Promise<void> {
  for (const namespace of namespaces) {
    for (const pid of await processesIn(namespace)) {
      try {
        process.kill(pid, "SIGKILL");
      } catch {
        // It ended in between.
      }
    }
    await ip("netns", "del", namespace).catch(() => undefined);
  }
  await ip("link", "del", bridge).catch(() => undefined);
}

/** A process that outlives ours by a second: where we were killed, it removes what we could not. Its pid. */
function watchOver(pid: number, bridge: string, namespaces: readonly string[]): number | null {
  const clean = namespaces.map(
    (namespace) => `ip netns pids ${namespace} | xargs -r kill -9; sleep 0.2; ip netns del ${namespace}`,
  );
  const script = `while kill -0 ${pid}; do sleep 1; done; ${clean.join("; ")}; ip link del ${bridge}`;
  const watcher = spawn("sh", ["-c", script], { detached: true, stdio: "ignore" });
  watcher.unref();
  return watcher.pid ?? null;
}

/** A /24 that no interface of this machine is in; the seed keeps stacks that run side by side apart. */
function freeSubnet(seed: number): string {
  const taken = new Set(
    Object.values(networkInterfaces())
      .flatMap((addresses) => addresses ?? [])
      .map(({ address }) => address.split(".").slice(0, 3).join(".")),
  );
  for (let tried = 0; tried < 256; tried += 1) {
    const subnet = `10.213.${(seed + tried) % 256}`;
    if (!taken.has(subnet)) return subnet;
  }
  throw new Error("every subnet of 10.213.0.0/16 is taken");
}

async function forwardPort(address: string, port: number): Promise<{ close(): Promise<void> }> {
  const open = new Set<Socket>();
  const keep = (socket: Socket): void => {
    open.add(socket);
    socket.on("close", () => open.delete(socket));
  };
  const server: Server = createServer((socket) => {
    const onward = connect(port, "127.0.0.1");
    for (const [end, other] of [
      [socket, onward],
      [onward, socket],
    ] as const) {
      keep(end);
      end.setNoDelay(true);
      end.on("error", () => other.destroy());
      end.on("close", () => other.destroy());
      end.pipe(other);
    }
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, address, resolve);
  });
  return {
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of open) socket.destroy();
      }),
  };
}
