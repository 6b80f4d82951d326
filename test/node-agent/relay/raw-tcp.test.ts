// Raw TCP to an instance of a node that nobody can reach: opened through its relay by a ticket, as a break-glass ingress opens it.
import { randomBytes } from "node:crypto";
import { request, type IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { afterAll, beforeAll, expect, test } from "vitest";
import { endpointInstance, instanceId } from "../../../bench/shared/gateway-world.ts";
import { eventually, patientApp, tcpApp, type App } from "../gateway/upstreams.ts";
import { Relayed } from "./relayed.ts";

let relayed: Relayed;
let own: App;
let held: App;
let patient: App;

beforeAll(async () => {
  relayed = await Relayed.start({ relayDialTimeoutMs: 500 });
  own = await tcpApp((socket) => socket.on("data", (bytes) => socket.write(bytes)));
  held = await tcpApp((socket) => socket.once("data", (bytes) => socket.end(`held ${bytes.toString()}`)));
  patient = await patientApp();
  const instance = endpointInstance(own.port, { instance: instanceId(1), hostPorts: [held.port, patient.port] });
  await relayed.hidden.write({ instances: [instance] });
  await relayed.dial();
  await relayed.reached();
});
afterAll(async () => {
  await relayed?.stop();
  await Promise.all([own?.close(), held?.close(), patient?.close()]);
});

/** The connection, or the answer that refuses it. */
async function opened(query = "", wish: object = {}): Promise<{ socket: Duplex } | { answer: IncomingMessage }> {
  const headers = { ...(await relayed.headers({ use: "tcp", ...wish })), connection: "Upgrade", upgrade: "berth-tcp" };
  return new Promise((resolve, reject) => {
    const at = { host: "127.0.0.1", port: relayed.relay.port, path: `/.berth/tcp${query}`, agent: false as const };
    const asked = request({ ...at, headers });
    asked.on("upgrade", (_answer, socket) => resolve({ socket }));
    asked.on("response", (answer) => resolve({ answer: answer.resume() }));
    asked.on("error", reject).end();
  });
}

async function connection(query = ""): Promise<Duplex> {
  const made = await opened(query);
  if (!("socket" in made)) throw new Error(`refused with ${made.answer.headers["berth-gateway-error"]}`);
  return made.socket;
}

/** So much, or all until the other side ends. */
async function heard(socket: Duplex, length: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of socket) {
    chunks.push(chunk as Buffer);
    if (chunks.reduce((sum, { length }) => sum + length, 0) >= length) break;
  }
  return Buffer.concat(chunks);
}

test("bytes pass both ways to the instance's own port, 4 MB of them unharmed, and its gateway counts the connection", async () => {
  const open = async () => (await relayed.hidden.counters()).instances[0]?.open ?? 0;
  const socket = await connection();
  expect(await open()).toBe(1);
  const sent = randomBytes(4 * 1024 * 1024);
  socket.write(sent);
  expect((await heard(socket, sent.length)).equals(sent)).toBe(true);
  socket.destroy();
  expect(await eventually(open, (count) => count === 0)).toBe(0);
});

test("a host port of the instance is reached too, and what the app ends is ended for the visitor", async () => {
  const socket = await connection(`?port=${held.port}`);
  socket.write("hello");
  expect(String(await heard(socket, Infinity))).toBe("held hello");
});

test("who has said all still hears the answer that waits for it", async () => {
  const socket = await connection(`?port=${patient.port}`);
  socket.end(Buffer.alloc(300_000));
  expect(String(await heard(socket, Infinity))).toBe("heard 300000");
});

test.each([
  ["a port that the instance does not have", "?port=1", {}, 401, "ticket_invalid"],
  ["an instance that is not there", "", { instance: instanceId(9) }, 421, "instance_gone"],
])("%s is refused by the node's own gateway", async (_, query, wish, status, code) => {
  const made = await opened(query, wish);
  if (!("answer" in made)) throw new Error("it was opened");
  const { statusCode, headers } = made.answer;
  expect({ statusCode, code: headers["berth-gateway-error"] }).toEqual({ statusCode: status, code });
});
