// Apps that fail, visitors that dawdle, agents that write nonsense: what the gateway says, counts and survives.
import { rename, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import {
  appId,
  ask as askSocket,
  endpointInstance,
  ended,
  instanceId,
  nodeId,
  signingKey,
  startGateway,
  type GatewayProcess,
  type SigningKey,
} from "../../../bench/shared/gateway-world.ts";
import { ENDPOINT_FILE, type EndpointInstance } from "../../../node-agent/endpoint-file.ts";
import { eventually, httpApp, raw, send, sleep, tcpApp, ticket, type App } from "./upstreams.ts";

let key: SigningKey;
let gateway: GatewayProcess;
let pass: string;
const apps: App[] = [];
/** Longer than a busy machine takes, as far as that can be waited for. */
const limits = {
  ...{ answerTimeoutMs: 4_000, headTimeoutMs: 4_000, dialTimeoutMs: 4_000, lameDuckMs: 300, openPerInstanceMax: 4 },
  ...{ upstreamIdleMs: 60_000, upstreamIdleUnsafeMs: 4_000 },
};

beforeAll(async () => {
  key = await signingKey();
  gateway = await startGateway({ node: nodeId(1), key, limits });
});
beforeEach(async () => {
  pass = await ticket(key);
});
afterAll(async () => {
  await gateway.stop();
  for (const app of apps) await app.close();
});

async function serve(app: App, wish: Partial<EndpointInstance> = {}): Promise<void> {
  apps.push(app);
  await gateway.write({ instances: [endpointInstance(app.port, { instance: instanceId(1), ...wish })] });
}
const ask = (wish: Parameters<typeof send>[1] = {}) =>
  send(gateway.port, { ...wish, headers: { "berth-ticket": pass } });
const failure = (code: string, status: number) => ({ status, headers: { "berth-gateway-error": code } });

describe("an app that fails", () => {
  test("refuses connections: connect_failed, because nothing was sent", async () => {
    const app = await httpApp((_asked, response) => void response.end());
    await serve(app);
    await app.close();
    expect(await ask({ method: "POST", body: "x" })).toMatchObject(failure("connect_failed", 502));
  });

  test("cannot be reached at all: connect_failed in time", async () => {
    // TEST-NET-1 (RFC 5737): packets to it go nowhere, or are refused at once.
    await gateway.write({ instances: [endpointInstance(80, { instance: instanceId(1), host: "192.0.2.1" })] });
    expect(await ask()).toMatchObject(failure("connect_failed", 502));
  });

  test("closes without an answer: upstream_reset, and a POST is not sent twice", async () => {
    let connections = 0;
    await serve(
      await tcpApp((socket) => {
        connections++;
        socket.once("data", () => socket.destroy());
      }),
    );
    expect(await ask({ method: "POST", body: "x" })).toMatchObject(failure("upstream_reset", 502));
    expect(connections).toBe(1);
  });

  test.each(["garbage\r\n\r\n", "HTTP/1.1 200 OK\r\nbad header\r\n\r\n", "HTTP/1.1 101 Switching Protocols\r\n\r\n"])(
    "answers %j: upstream_reset",
    async (bytes) => {
      await serve(await tcpApp((socket) => void socket.once("data", () => socket.write(bytes))));
      expect(await ask()).toMatchObject(failure("upstream_reset", 502));
    },
  );

  test("never answers: upstream_timeout", async () => {
    await serve(await tcpApp(() => undefined));
    expect(await ask()).toMatchObject(failure("upstream_timeout", 504));
  });

  test("is full: too_many_connections, and room is made when one ends", async () => {
    const held: (() => void)[] = [];
    await serve(await httpApp((_asked, response) => void held.push(() => response.end("ok"))));
    const four = [ask(), ask(), ask(), ask()];
    await eventually(
      () => held.length,
      (count) => count === 4,
    );
    expect(await ask()).toMatchObject(failure("too_many_connections", 503));
    for (const end of held) end();
    for (const one of four) expect((await one).status).toBe(200);
    const next = ask();
    await eventually(
      () => held.length,
      (count) => count === 5,
    );
    held[4]?.();
    expect((await next).status).toBe(200);
  });
});

describe("a pooled connection that the app has closed", () => {
  /** Answers once per connection, then closes it a moment later without having said so. */
  const forgetful = (seen: string[]) =>
    tcpApp((socket) => {
      let answered = false;
      socket.on("data", (bytes: Buffer) => {
        seen.push(bytes.toString().split(" ")[0] as string);
        if (answered) return void socket.resetAndDestroy();
        answered = true;
        socket.write("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
      });
    });

  test("costs a GET nothing: it goes out once more on a fresh one", async () => {
    const seen: string[] = [];
    await serve(await forgetful(seen));
    for (let round = 0; round < 3; round++) expect(await ask()).toMatchObject({ status: 200, body: "ok" });
    expect(seen).toEqual(["GET", "GET", "GET", "GET", "GET"]);
  });

  test("fails a POST rather than send it twice, and one that was idle for a while is not used for a POST at all", async () => {
    const seen: string[] = [];
    await serve(await forgetful(seen));
    expect(await ask()).toMatchObject({ status: 200 });
    expect(await ask({ method: "POST", body: "x" })).toMatchObject(failure("upstream_reset", 502));
    expect(seen).toEqual(["GET", "POST"]);
    expect(await ask()).toMatchObject({ status: 200 });
    await sleep(limits.upstreamIdleUnsafeMs + 500);
    expect(await ask({ method: "POST", body: "x" })).toMatchObject({ status: 200 });
  });
});

describe("a client that dawdles", () => {
  test("has its connection closed when its head does not end", async () => {
    const heard = await raw(gateway.port, "GET / HTTP/1.1\r\nhost: x\r\n");
    expect(heard).toBe("");
  });

  test("may be idle between requests for longer than a head may take", async () => {
    await serve(await httpApp((_asked, response) => void response.end("ok")));
    const socket = connect(gateway.port, "127.0.0.1");
    let heard = "";
    socket.setEncoding("latin1").on("data", (part: string) => (heard += part));
    await sleep(limits.headTimeoutMs + 500);
    socket.write(`GET / HTTP/1.1\r\nhost: x\r\nberth-ticket: ${pass}\r\n\r\n`);
    expect(
      await eventually(
        () => heard,
        (text) => text.endsWith("ok"),
      ),
    ).toMatch(/^HTTP\/1.1 200/);
    socket.destroy();
  });
});

describe("the endpoint file", () => {
  test("that is malformed is refused with the reason, and what was known serves on", async () => {
    await serve(await httpApp((_asked, response) => void response.end("ok")));
    await writeFile(join(gateway.dir, ENDPOINT_FILE), '{"node": "half');
    await expect(askSocket(gateway.dir, "POST", "/reload")).rejects.toThrow(/JSON/);
    expect((await ask()).status).toBe(200);
  });

  test("is seen within moments although nobody pokes", async () => {
    const app = await httpApp((_asked, response) => void response.end("new"));
    await serve(app);
    await writeFile(join(gateway.dir, `${ENDPOINT_FILE}.tmp`), (await fileText()).replace('"serving"', '"gone"'));
    await rename(join(gateway.dir, `${ENDPOINT_FILE}.tmp`), join(gateway.dir, ENDPOINT_FILE));
    expect((await eventually(ask, ({ status }) => status === 421)).status).toBe(421);
  });
});

async function fileText(): Promise<string> {
  const { readFile } = await import("node:fs/promises");
  return readFile(join(gateway.dir, ENDPOINT_FILE), "utf8");
}

describe("SIGTERM", () => {
  test("lets open requests end and refuses new connections; a second gateway takes the port over without a gap", async () => {
    let release = (): void => undefined;
    const app = await httpApp((asked, response) => {
      if (asked.url === "/slow") release = () => response.end(asked.url);
      else response.end(asked.url);
    });
    const old = await startGateway({ node: nodeId(1), key, limits });
    apps.push(app);
    // A second gateway may take longer to start than answerTimeoutMs.
    const http = { connectTimeoutMs: 1_000, firstByteTimeoutMs: 60_000, idleTimeoutMs: 60_000 };
    const instances = [endpointInstance(app.port, { instance: instanceId(1), http })];
    await old.write({ instances, routes: { [appId(1)]: 1 } });
    const slow = send(old.port, { path: "/slow", headers: { "berth-ticket": pass } });
    await eventually(
      async () => (await old.counters()).instances[0]?.open,
      (open) => open === 1,
    );
    const successor = await startGateway({ node: nodeId(1), key, limits, port: old.port });
    await successor.write({ instances });
    const stopped = ended(old.process);
    await sleep(50);
    for (let round = 0; round < 20; round++) {
      expect(await send(old.port, { path: `/${round}`, headers: { "berth-ticket": pass } })).toMatchObject({
        status: 200,
        body: `/${round}`,
      });
    }
    release();
    expect(await slow).toMatchObject({ status: 200, body: "/slow", headers: { connection: "close" } });
    await stopped;
    await successor.stop();
    await expect(send(old.port)).rejects.toThrow(/ECONNREFUSED/);
  });
});
