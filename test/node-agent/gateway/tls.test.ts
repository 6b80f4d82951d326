// The gateway's own TLS: real processes, real handshakes; a new certificate is taken up while connections are open.
import { createHash } from "node:crypto";
import { rename, writeFile } from "node:fs/promises";
import { Agent, request } from "node:https";
import { join } from "node:path";
import { connect, type TLSSocket } from "node:tls";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import { ask } from "../../../bench/shared/gateway-world.ts";
import { ReloadAnswer, TLS_FILE } from "../../../node-agent/endpoint-file.ts";
import { makeAuthority, type Authority, type Issued } from "../pki.ts";
import { Served } from "./served.ts";
import { httpApp, type App } from "./upstreams.ts";

const NAME = "n-01h.nodes.test";
let authority: Authority;
let served: Served;
let app: App;
let first: Issued;

async function install(text: string): Promise<ReloadAnswer> {
  const path = join(served.gateway.dir, TLS_FILE);
  await writeFile(`${path}.tmp`, text);
  await rename(`${path}.tmp`, path);
  return ReloadAnswer.parse(JSON.parse(await ask(served.gateway.dir, "POST", "/reload")));
}
const installPair = ({ cert, key }: Issued) => install(cert + key);
const trust = () => ({ host: "127.0.0.1", port: served.gateway.port, servername: NAME, ca: authority.ca });

interface Seen {
  readonly status: number;
  readonly body: string;
  /** Of the certificate that the connection was opened with. */
  readonly serial: string;
  readonly reused: boolean;
}

async function get(agent: Agent, path = "/", method = "GET", body = ""): Promise<Seen> {
  const headers = { "berth-ticket": `${await served.pass()} - https req-12345 - shop.test`, host: NAME };
  return new Promise((resolve, reject) => {
    const asked = request({ ...trust(), agent, path, method, headers }, (answer) => {
      const serial = (answer.socket as TLSSocket).getPeerCertificate().serialNumber;
      let text = "";
      answer.setEncoding("utf8").on("data", (part: string) => (text += part));
      answer.on("error", reject);
      answer.on("end", () =>
        resolve({ status: answer.statusCode ?? 0, body: text, serial, reused: asked.reusedSocket }),
      );
    });
    asked.on("error", reject).end(body);
  });
}

beforeAll(async () => {
  authority = await makeAuthority();
  first = await authority.issue({ names: [NAME] });
  served = await Served.start({ headTimeoutMs: 5_000, lameDuckMs: 50, sweepMs: 50 });
  app = await httpApp((incoming, response) => {
    if (incoming.url === "/short") {
      response.writeHead(200, { "content-length": "1000" }).write("begun");
      setTimeout(() => response.destroy(), 30);
      return;
    }
    const hash = createHash("sha256");
    incoming.on("data", (chunk: Buffer) => hash.update(chunk));
    incoming.on("end", () => response.end(`${incoming.headers["x-forwarded-proto"]} ${hash.digest("hex")}`));
  });
  const sockets = new WebSocketServer({ server: app.server as never });
  sockets.on("connection", (socket) => socket.on("message", (data) => socket.send(`echo ${String(data)}`)));
  await served.serve(app);
});
afterAll(() => served.stop());

describe("a gateway", () => {
  it("speaks plain HTTP until there is a certificate, and says which one it shows from then on", async () => {
    expect((await served.ask()).status).toBe(200);
    expect(ReloadAnswer.parse(JSON.parse(await ask(served.gateway.dir, "POST", "/reload"))).certificate).toBeNull();
    expect((await installPair(first)).certificate).toMatch(/^[0-9A-F:]{95}$/);
    const seen = await get(new Agent());
    expect(seen).toMatchObject({ status: 200, body: expect.stringContaining("https ") });
  });

  it("serves plain HTTP beside TLS, for those who still have the plain address", async () => {
    expect((await served.ask()).status).toBe(200);
  });

  it("carries a large body whole over TLS", async () => {
    const body = "x".repeat(3_000_000);
    const { body: answer } = await get(new Agent(), "/", "POST", body);
    expect(answer).toContain(createHash("sha256").update(body).digest("hex"));
  });

  it("breaks a connection whose answer came to no end, so that nobody takes it for whole", async () => {
    await expect(get(new Agent(), "/short")).rejects.toThrow();
    expect((await get(new Agent())).status).toBe(200);
  });

  it("refuses what is no TLS 1.2, and a protocol that it does not speak", async () => {
    const refused = (options: object) =>
      new Promise<string>((resolve) => {
        const socket = connect({ ...trust(), ...options }, () => resolve("connected"));
        socket.on("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
      });
    expect(await refused({ maxVersion: "TLSv1.1", minVersion: "TLSv1" })).not.toBe("connected");
    expect(await refused({ ALPNProtocols: ["h2"] })).toContain("NO_APPLICATION_PROTOCOL");
  });

  it("closes a connection that says nothing, or begins a handshake and stops", async () => {
    const { connect: dial } = await import("node:net");
    for (const bytes of [Buffer.alloc(0), Buffer.from([0x16, 3, 1, 2])]) {
      const socket = dial(served.gateway.port, "127.0.0.1");
      socket.on("error", () => undefined);
      socket.write(bytes);
      await new Promise((resolve) => socket.on("close", resolve));
    }
  });
});

describe("a new certificate", () => {
  it("is shown to new connections, while a kept connection and a WebSocket go on with the old one", async () => {
    const kept = new Agent({ keepAlive: true, maxSockets: 1 });
    const before = await get(kept);
    const headers = { "berth-ticket": `${await served.pass()} - https req-12345 - shop.test` };
    const socket = new WebSocket(`wss://127.0.0.1:${served.gateway.port}/`, { ...trust(), headers });
    const heard: string[] = [];
    let closed = false;
    socket.on("message", (data) => heard.push(String(data)));
    socket.on("close", () => (closed = true));
    await new Promise((resolve, reject) => socket.once("open", resolve).once("error", reject));

    // Requests go on all the time, on kept connections and on new ones.
    let stop = false;
    const faults: unknown[] = [];
    const serials = new Set<string>();
    let answered = 0;
    const visitors = [kept, new Agent(), new Agent({ keepAlive: true })].map(async (agent) => {
      while (!stop) {
        const seen = await get(agent).catch((error: unknown) => void faults.push(error));
        if (seen?.status !== 200) faults.push(seen);
        else serials.add(seen.serial);
        answered += 1;
      }
    });
    const installed = new Set<string>();
    for (let times = 0; times < 3; times += 1) {
      const { certificate } = await installPair(await authority.issue({ names: [NAME] }));
      installed.add(certificate ?? "");
      const seen = answered;
      await expect.poll(() => answered, { interval: 5 }).toBeGreaterThan(seen + 20);
    }
    stop = true;
    await Promise.all(visitors);

    expect(faults).toEqual([]);
    expect(installed.size).toBe(3);
    expect(serials.size).toBeGreaterThan(3);
    expect(await get(kept)).toMatchObject({ serial: before.serial, reused: true });
    expect((await get(new Agent())).serial).not.toBe(before.serial);
    socket.send("still here");
    await expect.poll(() => heard).toEqual(["echo still here"]);
    expect(closed).toBe(false);
    socket.terminate();
    kept.destroy();
  });

  it("that is no pair is not taken up: the one before it is served on", async () => {
    const before = await get(new Agent());
    const [one, other] = [await authority.issue({ names: [NAME] }), await authority.issue({ names: [NAME] })];
    await expect(install(one.cert + other.key)).rejects.toThrow(/mismatch/i);
    await expect(install("no certificate")).rejects.toThrow();
    expect((await get(new Agent())).serial).toBe(before.serial);
  });

  it("is taken up without a word from the agent too", async () => {
    const before = await get(new Agent());
    const { cert, key } = await authority.issue({ names: [NAME] });
    await writeFile(join(served.gateway.dir, "next"), cert + key);
    await rename(join(served.gateway.dir, "next"), join(served.gateway.dir, TLS_FILE));
    await expect.poll(async () => (await get(new Agent())).serial).not.toBe(before.serial);
  });
});
