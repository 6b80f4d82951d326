// Networks of nodes: wires that are cut in one direction and mend by themselves, and nothing left behind, whoever is killed.
import { spawn, type ChildProcess } from "node:child_process";
import { existsSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { NAMESPACES_DIR, Networks, processesIn, type NodeNetwork } from "../../dev/network/namespaces.ts";
import { drop, heal, type Wire } from "../../dev/network/wires.ts";

const GATEWAY_PORT = 7070;
const SERVER = `require("node:http").createServer((q, r) => r.end("here")).listen(${GATEWAY_PORT}, "0.0.0.0", () => console.log("up"))`;

let networks: Networks;
let node: NodeNetwork;
let control: Server;
let inside: ChildProcess;
let ports: { control: number; gateway: number };

const enter = (args: readonly string[]): ChildProcess =>
  spawn("nsenter", [`--net=${NAMESPACES_DIR}/${node.namespace}`, process.execPath, ...args]);
const output = (child: ChildProcess): Promise<string> =>
  new Promise((resolve) => child.stdout?.once("data", (chunk: Buffer) => resolve(chunk.toString().trim())));

beforeAll(async () => {
  networks = await Networks.create(`test-${process.pid}`, 1);
  [node] = networks.nodes as [NodeNetwork];
  control = createServer((_request, response) => response.end("control"));
  await new Promise<void>((resolve) => control.listen(0, "127.0.0.1", resolve));
  ports = { control: (control.address() as AddressInfo).port, gateway: GATEWAY_PORT };
  await networks.forward(ports.control);
  inside = enter(["-e", SERVER]);
  expect(await output(inside)).toBe("up");
});
afterAll(async () => {
  control.close();
  await networks.remove();
});

const reach = async (url: string): Promise<boolean> => {
  const signal = AbortSignal.timeout(700);
  return fetch(url, { signal, headers: { connection: "close" } }).then(
    (answer) => answer.ok,
    () => false,
  );
};
const toGateway = (): Promise<boolean> => reach(`http://${node.address}:${GATEWAY_PORT}/`);
const toControl = async (): Promise<boolean> => {
  const url = `http://${node.hostAddress}:${ports.control}/`;
  const script = `fetch("${url}", { signal: AbortSignal.timeout(700) }).then((a) => console.log(a.ok), () => console.log(false))`;
  return (await output(enter(["-e", script]))) === "true";
};

/** What is to be reached is asked for until it is, since a busy machine may be late; what is not must not be reached once. */
async function expectReached(gateway: boolean, agent: boolean): Promise<void> {
  if (gateway) await expect.poll(toGateway).toBe(true);
  else expect(await toGateway()).toBe(false);
  if (agent) await expect.poll(toControl).toBe(true);
  else expect(await toControl()).toBe(false);
}

test("a node reaches the control plane, and this machine its gateway", () => expectReached(true, true));

test.each([
  [["control_to_agent"], true, false],
  [["agent_to_control"], true, false],
  [["edge_to_gateway"], false, true],
  [["gateway_to_edge"], false, true],
  [["power"], false, false],
] as [Wire[], boolean, boolean][])(
  "with %j cut the gateway is reached: %s, the control plane: %s",
  async (wires, gateway, agent) => {
    // For longer than anything is waited for.
    await drop(node, ports, wires, 300_000);
    await expectReached(gateway, agent);
    await heal(node);
    await expectReached(true, true);
  },
);

test("a cut wire mends by itself when its time is over", async () => {
  await drop(node, ports, ["power"], 6_000);
  expect(await toGateway()).toBe(false);
  await expect.poll(toGateway).toBe(true);
});

test("what was made by a process that was killed is removed, with all that ran there", async () => {
  const script = fileURLToPath(new URL("./networks-script.ts", import.meta.url));
  const child = spawn(process.execPath, [script, `crash-${process.pid}`]);
  const namespace = await output(child);
  expect(existsSync(`${NAMESPACES_DIR}/${namespace}`)).toBe(true);
  const resident = spawn("nsenter", [`--net=${NAMESPACES_DIR}/${namespace}`, "sleep", "60"]);
  await expect.poll(() => processesIn(namespace)).toEqual([resident.pid]);
  const ended = new Promise((resolve) => resident.once("exit", (_code, signal) => resolve(signal)));
  child.kill("SIGKILL");
  expect(await ended).toBe("SIGKILL");
  await expect.poll(() => existsSync(`${NAMESPACES_DIR}/${namespace}`)).toBe(false);
});
