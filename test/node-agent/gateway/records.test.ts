// What a gateway keeps and shows: counters of each instance, and the instances' log lines from disk.
import { appendFile, rename, writeFile } from "node:fs/promises";
import { request } from "node:http";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { endpointInstance, instanceId } from "../../../bench/shared/gateway-world.ts";
import { Served } from "./served.ts";
import { eventually, httpApp, send, ticket } from "./upstreams.ts";

let served: Served;
let pass: string;

beforeAll(async () => {
  served = await Served.start();
});
afterAll(() => served.stop());

describe("counters", () => {
  test("count requests, status classes, bytes and latency of each instance", async () => {
    await served.serve(
      await httpApp((asked, response) => void response.writeHead(Number(asked.url?.slice(1))).end("12345")),
      {
        instance: instanceId(9),
      },
    );
    pass = await ticket(served.key, { instance: instanceId(9) });
    for (const status of [200, 201, 301, 404, 404, 500]) {
      await send(served.gateway.port, { path: `/${status}`, headers: { "berth-ticket": pass } });
    }
    const tally = (await served.gateway.counters()).instances.find(({ instance }) => instance === instanceId(9));
    expect(tally).toMatchObject({ requests: 6, open: 0, status: { s1xx: 0, s2xx: 2, s3xx: 1, s4xx: 2, s5xx: 1 } });
    expect(tally?.latency.reduce((sum, count) => sum + count, 0)).toBe(6);
    expect(tally?.bytesOut).toBeGreaterThan(6 * 5);
    expect(tally?.bytesIn).toBeGreaterThan(6 * 20);
  });

  test("leave out what the control plane asks by itself: its checks are no visitors, and judge no release", async () => {
    const app = await httpApp((_asked, response) => void response.writeHead(503).end("still warming up"));
    await served.serve(app, { instance: instanceId(8) });
    const ask = async (use: "app" | "verify"): Promise<number> => {
      const headers = { "berth-ticket": await ticket(served.key, { instance: instanceId(8), use }) };
      return (await send(served.gateway.port, { path: "/health", headers })).status;
    };
    expect([await ask("verify"), await ask("app"), await ask("verify")]).toEqual([503, 503, 503]);
    const tally = (await served.gateway.counters()).instances.find(({ instance }) => instance === instanceId(8));
    expect(tally).toMatchObject({ requests: 1, open: 0, status: { s5xx: 1 } });
  });

  test("bill who asks for a release by its name, and leave it out of what the release is judged by", async () => {
    const app = await httpApp((_asked, response) => void response.writeHead(500).end("a tester found something"));
    await served.serve(app, { instance: instanceId(7) });
    for (const preview of [true, false, true]) {
      const headers = { "berth-ticket": await ticket(served.key, { instance: instanceId(7), preview }) };
      expect((await send(served.gateway.port, { headers })).status).toBe(500);
    }
    const tally = (await served.gateway.counters()).instances.find(({ instance }) => instance === instanceId(7));
    expect(tally).toMatchObject({ requests: 3, open: 0, status: { s5xx: 1 } });
    expect(tally?.latency.reduce((sum, count) => sum + count, 0)).toBe(1);
    expect(tally?.bytesOut).toBeGreaterThan(3 * "a tester found something".length);
  });
});

describe("logs", () => {
  const line = (number: number): string =>
    `${JSON.stringify({ atMs: number, stream: "stdout", line: `line ${number} ü` })}\n`;
  const lines = (text: string): number[] =>
    text
      .split("\n")
      .filter((part) => part !== "")
      .map((part) => (JSON.parse(part) as { atMs: number }).atMs);
  let path: string;

  beforeEach(async () => {
    path = join(served.gateway.dir, "logs", "current.ndjson");
    await writeFile(`${path}.1`, [1, 2, 3].map(line).join(""));
    await writeFile(path, `${[4, 5].map(line).join("")}{"half":`);
    await served.gateway.write({
      instances: [endpointInstance(1, { instance: instanceId(1), state: "starting", logPath: path })],
    });
    pass = await ticket(served.key, { use: "logs" });
  });
  const read = async (query: string): Promise<number[]> =>
    lines((await send(served.gateway.port, { path: `/.berth/logs${query}`, headers: { "berth-ticket": pass } })).body);

  test("are the newest whole lines, over both files, also of an instance that is only starting", async () => {
    expect(await read("?tail=1")).toEqual([5]);
    expect(await read("?tail=4")).toEqual([2, 3, 4, 5]);
    expect(await read("?tail=0")).toEqual([]);
    expect(await read("")).toEqual([1, 2, 3, 4, 5]);
    expect(await read("?tail=-7")).toEqual([1, 2, 3, 4, 5]);
  });

  test("need a ticket for logs", async () => {
    const answer = await send(served.gateway.port, {
      path: "/.berth/logs",
      headers: { "berth-ticket": await ticket(served.key) },
    });
    expect(answer.status).toBe(401);
  });

  test("followed, go on over a rotation and end with the instance", async () => {
    const heard = { text: "", ended: false };
    const headers = { "berth-ticket": pass };
    request(
      { host: "127.0.0.1", port: served.gateway.port, path: "/.berth/logs?tail=1&follow=1", headers, agent: false },
      (answer) => {
        answer.setEncoding("utf8").on("data", (part: string) => (heard.text += part));
        answer.on("end", () => (heard.ended = true));
      },
    ).end();
    const until = (last: number) =>
      eventually(
        () => lines(heard.text),
        (seen) => seen.at(-1) === last,
      );
    await until(5);
    await writeFile(path, [4, 5, 6].map(line).join(""));
    await until(6);
    await appendFile(path, line(7));
    await rename(path, `${path}.1`);
    await writeFile(path, line(8));
    await until(8);
    await appendFile(path, line(9));
    expect(await until(9)).toEqual([5, 6, 7, 8, 9]);
    await served.gateway.write({ instances: [] });
    expect(
      await eventually(
        () => heard.ended,
        (ended) => ended,
      ),
    ).toBe(true);
  });
});
